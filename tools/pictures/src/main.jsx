// Asks Prometheus for everything that a dashboard shows, draws it, and says so in the title.
import { ThemeContext, createTheme, dateTime } from "@grafana/data";
import { GlobalStyles } from "@grafana/ui";
import { createRoot } from "react-dom/client";
import "@fontsource/inter/400.css";
import "@fontsource/inter/500.css";

import { configured, transformed } from "./fields.js";
import { Page, placed } from "./page.jsx";
import { frames, moments, stepOf } from "./prometheus.js";
import "./page.css";

const EDGE = 16;

/** The regular expression that stands for what is chosen in a variable; the value itself where that is one text. */
function expression(variable, chosen) {
  return chosen ?? variable.allValue ?? "";
}

async function data(panel, settings) {
  const { width, theme, timeZone } = settings;
  const step = stepOf(panel, placed(panel.gridPos, width).width, settings.range);
  const single = panel.targets.length === 1;
  const answers = await Promise.all(panel.targets.map((target) => frames(target, { ...settings, step, single })));
  return { frames: configured(panel, await transformed(panel, answers.flat()), theme, timeZone), step };
}

async function draw({ dashboard, chosen, now, timeZone }) {
  const theme = createTheme({ colors: { mode: "dark" } });
  const width = window.innerWidth - 2 * EDGE;
  const [from, to] = [dateTime(now).subtract(24, "hours"), dateTime(now)];
  const range = { from, to, raw: { from: dashboard.time.from, to: dashboard.time.to } };
  const variables = Object.fromEntries(
    dashboard.templating.list.map((variable) => [variable.name, expression(variable, chosen[variable.name])]),
  );
  const settings = { width, theme, timeZone, range, variables };
  const panels = dashboard.panels.filter(({ type }) => type !== "row");
  const drawn = Object.fromEntries(
    await Promise.all(panels.map(async (each) => [each.id, await data(each, settings)])),
  );
  const marks = await Promise.all(
    (dashboard.annotations.list ?? []).map(async (annotation) =>
      (await moments(annotation, settings)).map((at) => ({ at, colour: annotation.iconColor })),
    ),
  );
  createRoot(document.getElementById("root")).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <Page {...{ dashboard, chosen, drawn, width, range, timeZone }} marks={marks.flat()} />
    </ThemeContext.Provider>,
  );
}

draw(window.picture).then(
  () => setTimeout(() => (document.title = "drawn"), 1500),
  (error) => {
    document.title = "failed";
    throw error;
  },
);
