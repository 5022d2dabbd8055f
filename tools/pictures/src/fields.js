// What a panel's JSON says about its data: transformations, then units, colours and texts of the fields.
import {
  getDisplayProcessor,
  getFieldDisplayName,
  standardTransformers,
  standardTransformersRegistry,
  transformDataFrame,
} from "@grafana/data";
import { firstValueFrom } from "rxjs";

const KNOWN = [
  standardTransformers.convertFieldTypeTransformer,
  standardTransformers.mergeTransformer,
  standardTransformers.organizeFieldsTransformer,
];

standardTransformersRegistry.setInit(() =>
  KNOWN.map((transformation) => ({
    id: transformation.id,
    name: transformation.name,
    transformation: async () => transformation,
  })),
);

// What Grafana adds to the options of a time series that the JSON leaves out.
const CUSTOM = {
  axisBorderShow: false,
  axisCenteredZero: false,
  axisColorMode: "text",
  axisLabel: "",
  axisPlacement: "auto",
  barAlignment: 0,
  barWidthFactor: 0.6,
  drawStyle: "line",
  fillOpacity: 0,
  gradientMode: "none",
  hideFrom: { legend: false, tooltip: false, viz: false },
  lineInterpolation: "linear",
  lineWidth: 1,
  pointSize: 5,
  scaleDistribution: { type: "linear" },
  showPoints: "auto",
  spanNulls: false,
  stacking: { mode: "none", group: "A" },
  thresholdsStyle: { mode: "off" },
};

/** The frames after the panel's transformations. */
export async function transformed(panel, frames) {
  return firstValueFrom(transformDataFrame(panel.transformations ?? [], frames));
}

/** The frames with the panel's field configuration applied, ready for Grafana's components. */
export function configured(panel, frames, theme, timeZone) {
  const { defaults, overrides } = panel.fieldConfig;
  let seriesIndex = 0;
  for (const frame of frames) {
    for (const field of frame.fields) {
      const custom = { ...CUSTOM, ...defaults.custom, ...field.config.custom };
      field.config = { ...defaults, ...field.config, custom };
      // What the field is called decides which overrides are its own.
      const name = getFieldDisplayName(field, frame, frames);
      field.state = { ...field.state, displayName: name, seriesIndex };
      for (const { matcher, properties } of overrides.filter((each) => names(each.matcher).includes(name))) {
        properties.forEach(({ id, value }) => put(field.config, id, value));
      }
      field.display = getDisplayProcessor({ field, theme, timeZone });
      seriesIndex += field.type === "number" ? 1 : 0;
    }
  }
  return frames;
}

function names(matcher) {
  if (matcher.id === "byNames") {
    return matcher.options.names;
  }
  if (matcher.id === "byName") {
    return [matcher.options];
  }
  throw new Error(`the matcher ${matcher.id} is not known here`);
}

function put(config, path, value) {
  const [first, ...rest] = path.split(".");
  if (rest.length) {
    config[first] = { ...config[first] };
    put(config[first], rest.join("."), value);
  } else {
    config[first] = value;
  }
}
