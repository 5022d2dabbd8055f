// The state timeline, which Grafana keeps in its server's frontend and not among its components: drawn in SVG.
import { dateTimeFormat, getFieldDisplayName } from "@grafana/data";
import { VizLegend, useTheme2 } from "@grafana/ui";

const AXIS = 22; // pixels, as LEGEND and the widths below
const LEGEND = 30;
const LETTER = 6.6;
const TICKS = 12;
const EDGE = 18; // half the width of a time: one that is nearer to the end would be cut

/** Runs of equal values: where each begins and ends, and how it is shown. */
function runs(times, values, display, step) {
  const found = [];
  values.forEach((value, place) => {
    const last = found.at(-1);
    if (value === null) {
      return;
    }
    if (last && last.value === value && last.end === times[place]) {
      last.end = times[place] + step;
    } else {
      found.push({ value, start: times[place], end: times[place] + step, shown: display(value) });
    }
  });
  return found;
}

function Row({ label, bars, y, high, left, place, theme }) {
  const inside = 0.85 * high;
  const top = y + (high - inside) / 2;
  return (
    <g>
      <text x={left - 8} y={y + high / 2} textAnchor="end" dominantBaseline="central" fill={theme.colors.text.primary}>
        {label}
      </text>
      {bars.map(({ start, end, shown }) => {
        const [from, to] = [place(start), place(end)];
        const fits = to - from > LETTER * shown.text.length + 8 && inside > 11;
        return (
          <g key={start}>
            <rect
              x={from}
              y={top}
              width={Math.max(1, to - from)}
              height={inside}
              fill={shown.color}
              fillOpacity={0.85}
            />
            {fits && (
              <text
                x={from + 5}
                y={y + high / 2}
                dominantBaseline="central"
                fill={theme.colors.getContrastText(shown.color)}
              >
                {shown.text}
              </text>
            )}
          </g>
        );
      })}
    </g>
  );
}

function Axis({ range, place, y, timeZone, theme }) {
  const [from, to] = [range.from.valueOf(), range.to.valueOf()];
  const step = Math.ceil((to - from) / 3600000 / TICKS) * 3600000;
  const ticks = [];
  for (let at = Math.ceil(from / step) * step; place(at) < place(to) - EDGE; at += step) {
    ticks.push(at);
  }
  return ticks.map((at) => (
    <g key={at}>
      <line x1={place(at)} x2={place(at)} y1={0} y2={y} stroke="rgba(204, 204, 220, 0.07)" />
      <text x={place(at)} y={y + 14} textAnchor="middle" fill={theme.colors.text.primary}>
        {dateTimeFormat(at, { timeZone, format: "HH:mm" })}
      </text>
    </g>
  ));
}

/** A row for each series, coloured by its value over time; the legend tells what the colours mean. */
export function Timeline({ panel, frames, width, height, range, step, timeZone }) {
  const theme = useTheme2();
  const rows = frames.map((frame) => {
    const [time, value] = frame.fields;
    return {
      label: getFieldDisplayName(value, frame, frames),
      bars: runs(time.values, value.values, value.display, 1000 * step),
    };
  });
  const left = Math.min(0.4 * width, 12 + LETTER * Math.max(...rows.map(({ label }) => label.length)));
  const [from, to] = [range.from.valueOf(), range.to.valueOf()];
  const place = (at) => left + ((Math.min(at, to) - from) / (to - from)) * (width - left);
  const bottom = height - AXIS - LEGEND;
  const high = bottom / rows.length;
  const shown = new Set(rows.flatMap(({ bars }) => bars.map(({ shown: { text } }) => text)));
  const words = Object.values(panel.fieldConfig.defaults.mappings[0].options);
  const items = words
    .filter(({ text }) => shown.has(text))
    .map(({ text, color }) => ({ label: text, color, yAxis: 1 }));
  return (
    <div>
      <svg width={width} height={height - LEGEND} fontSize={12} fontFamily={theme.typography.fontFamily}>
        <Axis {...{ range, place, timeZone, theme }} y={bottom} />
        {rows.map((row, number) => (
          <Row key={row.label} {...row} {...{ left, place, high, theme }} y={number * high} />
        ))}
      </svg>
      <VizLegend displayMode="list" placement="bottom" items={items} readonly />
    </div>
  );
}
