// Each kind of panel, drawn with Grafana's own components.
import { VizOrientation, getDisplayValueAlignmentFactors, getFieldDisplayValues } from "@grafana/data";
import { BarGauge, BigValue, TimeSeries, VizRepeater, useTheme2 } from "@grafana/ui";
import { TableNG } from "@grafana/ui/unstable";

import { Timeline } from "./timeline.jsx";

function displayed({ panel, frames, theme, timeZone }) {
  const { defaults } = panel.fieldConfig;
  return getFieldDisplayValues({
    fieldConfig: { defaults, overrides: [] },
    reduceOptions: panel.options.reduceOptions,
    replaceVariables: (text) => text,
    theme,
    data: frames,
    timeZone,
  });
}

function Stat(props) {
  const theme = useTheme2();
  const { panel, width, height } = props;
  const [{ display }] = displayed({ ...props, theme });
  const { colorMode, graphMode, textMode, justifyMode } = panel.options;
  return <BigValue {...{ theme, width, height, colorMode, graphMode, textMode, justifyMode }} value={display} />;
}

function Bars(props) {
  const theme = useTheme2();
  const { panel, frames, width, height } = props;
  const { displayMode, valueMode, namePlacement, showUnfilled, minVizWidth, minVizHeight, maxVizHeight } =
    panel.options;
  // Where the panel sets no maximum, the longest bar is that of the greatest value.
  const values = frames.flatMap(({ fields }) =>
    fields.filter(({ type }) => type === "number").flatMap((f) => f.values),
  );
  const bounds = { min: 0, max: Math.max(...values) };
  const bar = ({ value: { display, field }, ...size }) => (
    <BarGauge
      {...{ theme, displayMode, namePlacement, showUnfilled }}
      {...size}
      value={display}
      field={{ ...bounds, ...field }}
      valueDisplayMode={valueMode}
      display={frames[0].fields[1].display}
    />
  );
  return (
    <VizRepeater
      source={frames}
      renderCounter={0}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      getValues={() => displayed({ ...props, theme })}
      renderValue={bar}
      orientation={VizOrientation.Horizontal}
      {...{ width, height, minVizWidth, minVizHeight, maxVizHeight }}
    />
  );
}

function Lines({ panel, frames, width, height, range, timeZone, marks }) {
  const legend = panel.options.legend;
  return (
    <TimeSeries {...{ frames, legend, width, height, timeZone }} timeRange={range}>
      {(builder) => marked(builder, marks)}
    </TimeSeries>
  );
}

/** Lines where something happened, with a mark below, as Grafana draws annotations. */
function marked(builder, marks) {
  builder.addHook("draw", (plot) => {
    const { ctx, bbox } = plot;
    ctx.save();
    for (const { at, colour } of marks) {
      const x = Math.round(plot.valToPos(at, "x", true)) + 0.5;
      const bottom = bbox.top + bbox.height;
      ctx.strokeStyle = ctx.fillStyle = colour;
      ctx.setLineDash([5, 5]);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bottom);
      ctx.stroke();
      ctx.beginPath();
      ctx.moveTo(x, bottom);
      ctx.lineTo(x - 5, bottom + 6);
      ctx.lineTo(x + 5, bottom + 6);
      ctx.fill();
    }
    ctx.restore();
  });
  return null;
}

function Table({ panel, frames, width, height, range }) {
  const [frame] = frames;
  const { sortBy, cellHeight } = panel.options;
  return (
    <TableNG {...{ width, height, sortBy, cellHeight }} data={frame} timeRange={range} enableVirtualization={false} />
  );
}

const KINDS = { stat: Stat, bargauge: Bars, timeseries: Lines, table: Table, "state-timeline": Timeline };

/** The inside of a panel: its kind, or the text that it has for no data. */
export function Inside(props) {
  const Kind = KINDS[props.panel.type];
  if (!Kind) {
    throw new Error(`panels of kind ${props.panel.type} cannot be drawn here`);
  }
  if (props.panel.type !== "stat" && !props.frames.some((frame) => frame.length)) {
    return <div className="nothing">{props.panel.fieldConfig.defaults.noValue}</div>;
  }
  return <Kind {...props} />;
}
