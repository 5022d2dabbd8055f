// The whole dashboard: controls, rows, and panels on Grafana's grid.
import { Icon, PanelChrome } from "@grafana/ui";

import { Inside } from "./panels.jsx";

const CELL = 30; // pixels, as GAP: what a unit of gridPos is on Grafana's page
const GAP = 8;

export function placed({ x, y, w, h }, width) {
  const column = (width - 23 * GAP) / 24;
  return {
    left: x * (column + GAP),
    top: y * (CELL + GAP),
    width: w * (column + GAP) - GAP,
    height: h * (CELL + GAP) - GAP,
  };
}

function Controls({ dashboard, chosen }) {
  const shown = dashboard.templating.list.map(({ name, label }) => [label, chosen[name] ?? "All"]);
  return (
    <header>
      <div className="line">
        <h1 className="title">{dashboard.title.replace(" / ", " › ")}</h1>
        <span className="choice time">
          <Icon name="clock-nine" /> Last 24 hours
        </span>
      </div>
      <div className="line">
        {shown.map(([label, value]) => (
          <span className="choice" key={label}>
            <b>{label}</b> {value || <i>Enter value</i>}
          </span>
        ))}
      </div>
    </header>
  );
}

function Row({ panel, at }) {
  return (
    <h2 className="row" style={at}>
      <Icon name="angle-down" /> {panel.title}
    </h2>
  );
}

function Panel({ panel, at, ...rest }) {
  return (
    <div className="panel" style={at}>
      <PanelChrome width={at.width} height={at.height} title={panel.title} description={panel.description}>
        {(width, height) => <Inside {...{ panel, width, height }} {...rest} />}
      </PanelChrome>
    </div>
  );
}

export function Page({ dashboard, chosen, drawn, width, ...rest }) {
  const height = Math.max(
    ...dashboard.panels.map(({ gridPos }) => placed(gridPos, width).top + placed(gridPos, width).height),
  );
  return (
    <main>
      <Controls {...{ dashboard, chosen }} />
      <div className="grid" style={{ height }}>
        {dashboard.panels.map((panel) => {
          const at = placed(panel.gridPos, width);
          const key = panel.id;
          return panel.type === "row" ? (
            <Row {...{ key, panel, at }} />
          ) : (
            <Panel key={key} {...{ panel, at }} {...drawn[key]} {...rest} />
          );
        })}
      </div>
    </main>
  );
}
