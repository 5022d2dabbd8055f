"""The few kinds of panels that the dashboards are made of. Knows Grafana's options, no metric.

Everything stays within the published JSON schema: an override picks series by a list of names, and sets objects alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

from grafana_foundation_sdk.builders import bargauge, common, prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from dashboards.colours import GREEN, GREY, SKY, VERMILLION

Drawn = stat.Panel | timeseries.Panel | table.Panel | statetimeline.Panel | bargauge.Panel
One = TypeVar("One", stat.Panel, timeseries.Panel, table.Panel, statetimeline.Panel, bargauge.Panel)
Steps = Sequence[tuple[float, str]]  # (from this value on, colour), ascending
Words = Mapping[int, tuple[str, str]]  # value -> (text, colour)
Queries = Mapping[str, str]  # legend -> expression

SOURCE: Final = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
PLAIN: Final[Steps] = ((0, SKY),)
NONE_IS_GOOD: Final[Steps] = ((0, GREEN), (1, VERMILLION))
MEASURED: Final = "5m"  # the least step of what happens once in minutes: a shorter one shows mostly gaps
HOURLY: Final = "60m"  # the same for rates of what happens once an hour
MOMENT: Final = "dateTimeAsSystem"  # the unit of tables whose values are moments, in milliseconds
PLAIN_TEXT: Final = "string"
TALLEST: Final = 44  # pixels of a bar: a few bars would fill their panel with huge letters


class Card(NamedTuple):
    """What every panel has. `width` is of 24; `empty` is what it says where there is nothing to show."""

    title: str
    about: str
    unit: str
    width: int
    height: int
    empty: str


def numbers(card: Card, expr: str, steps: Steps = PLAIN, words: Words | None = None, legend: str = "") -> stat.Panel:
    """Big numbers of now; on a coloured ground where colours mean something."""
    ground = (
        options.BigValueColorMode.NONE if steps == PLAIN and words is None else options.BigValueColorMode.BACKGROUND
    )
    panel = (
        framed(stat.Panel(), card)
        .with_target(query("A", expr, legend).instant())
        .reduce_options(last())
        .color_mode(ground)
        .graph_mode(options.BigValueGraphMode.NONE)
        .text_mode(options.BigValueTextMode.VALUE_AND_NAME if legend else options.BigValueTextMode.VALUE)
        .thresholds(thresholds(steps))
        .color_scheme(colour("thresholds"))
    )
    return panel.mappings([worded(words)]) if words else panel


def lines(card: Card, queries: Queries, colours: Mapping[str, str], other: str = GREY) -> timeseries.Panel:
    """Lines over time; `colours` by legend, `other` for what nobody named, in shades."""
    panel = (
        framed(timeseries.Panel(), card)
        .draw_style(options.GraphDrawStyle.LINE)
        .line_width(2)
        .fill_opacity(0)
        .show_points(options.VisibilityMode.AUTO)
        .axis_soft_min(0)
        .color_scheme(colour("shades", other))
        .legend(legend())
        .tooltip(common.VizTooltipOptions().mode(options.TooltipDisplayMode.MULTI).sort(options.SortOrder.DESCENDING))
    )
    for ref, (name, expr) in zip("ABCDEFG", queries.items(), strict=False):
        panel.with_target(query(ref, expr, name).range())
    return coloured(panel, colours)


def columns(card: Card, queries: Queries, colours: Mapping[str, str], other: str = GREY) -> timeseries.Panel:
    """Stacked bars over time, one step of minutes each: what is counted in each step."""
    return (
        lines(card, queries, colours, other)
        .draw_style(options.GraphDrawStyle.BARS)
        .line_width(0)
        .fill_opacity(85)
        .show_points(options.VisibilityMode.NEVER)
        .stacking(common.StackingConfig().mode(options.StackingMode.NORMAL).group("A"))
        .interval(MEASURED)
    )


def rows(card: Card, expr: str, titles: Mapping[str, str], sort: str = "", link: str = "") -> table.Panel:
    """A table of now: one row an element, one column a label, each with its filter, in the order of `titles`.

    What has no title is hidden, labels of the scrape excepted. `link` is where a click on a row leads.
    """
    return many(card, {"Value": expr}, titles, sort, link)


def many(card: Card, exprs: Queries, titles: Mapping[str, str], sort: str = "", link: str = "") -> table.Panel:
    """A table with one column for each expression, by its title; rows with the same labels are one.

    A unit of the panel would apply to every cell that reads as a number, ids of connectors too (1793 as 1.79 K), and a
    unit of dates even to texts (as NaN): the panel has none, and moments are made times. What a panel says where there
    is no data stands in its empty cells as well.
    """
    panel = framed(table.Panel(), card._replace(unit=PLAIN_TEXT)).filterable(filterable=True)
    panel.cell_height(options.TableCellHeight.SM)
    for ref, expr in zip("ABCDEFG", exprs.values(), strict=False):
        panel.with_target(query(ref, expr).instant().format(PromQueryFormat.TABLE))
    shown, moments = dict(titles), [titles.get("Value", "Value")]
    if len(exprs) > 1:
        moments = list(exprs)
        shown |= {f"Value #{ref}": title for ref, title in zip("ABCDEFG", exprs, strict=False)}
        panel.with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
    panel.with_transformation(model.DataTransformerConfig(id_val="organize", options=organized(shown)))
    if card.unit == MOMENT:
        panel.with_transformation(model.DataTransformerConfig(id_val="convertFieldType", options=times(moments)))
    if sort:
        panel.sort_by([common.TableSortByFieldState().display_name(sort.lstrip("-")).desc(sort.startswith("-"))])
    return panel.data_links([row_link(link)]) if link else panel


def times(columns: Iterable[str]) -> dict[str, object]:
    """The options of the transformation that makes times of milliseconds, in columns that have their titles already."""
    return {"fields": {}, "conversions": [{"targetField": name, "destinationType": "time"} for name in columns]}


HIDDEN: Final = (
    *("Time", "Value", "__name__", "instance", "job", "pod", "operation"),
    *("connector_id", "rp_id", "rp_name", "change", "before", "after", "before_name", "after_name"),
)


def organized(shown: Mapping[str, str]) -> dict[str, object]:
    """The options of the transformation that orders, names and hides columns."""
    return {
        "excludeByName": {name: True for name in HIDDEN if name not in shown},
        "indexByName": {name: place for place, name in enumerate(shown)},
        "renameByName": dict(shown),
    }


def states(card: Card, queries: Queries, words: Words) -> statetimeline.Panel:
    """A row for each series, coloured by its value over time."""
    panel = (
        framed(statetimeline.Panel(), card)
        .mappings([worded(words)])
        .show_value(options.VisibilityMode.AUTO)
        .merge_values(merge_values=True)
        .row_height(0.85)
        .fill_opacity(85)
        .line_width(0)
        .color_scheme(colour("fixed", GREY))
        .legend(legend())
        .tooltip(common.VizTooltipOptions().mode(options.TooltipDisplayMode.SINGLE))
    )
    for ref, (name, expr) in zip("ABCDEFG", queries.items(), strict=False):
        panel.with_target(query(ref, expr, name).range())
    return panel


def bars(
    card: Card, expr: str, name: str, steps: Steps = PLAIN, colours: Mapping[str, str] | None = None
) -> bargauge.Panel:
    """A bar for each series of now, named by the legend `name`."""
    # A gradient runs through all steps: a long good bar would begin in the colour of what is bad.
    mode = options.BarGaugeDisplayMode.GRADIENT if steps == PLAIN else options.BarGaugeDisplayMode.BASIC
    panel = (
        framed(bargauge.Panel(), card)
        .with_target(query("A", expr, name).instant())
        .reduce_options(last())
        .orientation(options.VizOrientation.HORIZONTAL)
        .display_mode(mode)
        .max_viz_height(TALLEST)
        .value_mode(options.BarGaugeValueMode.TEXT)
        .show_unfilled(show_unfilled=True)
        .min(0)
        .thresholds(thresholds(steps))
        .color_scheme(colour("thresholds"))
    )
    return coloured(panel, colours or {})


def framed(panel: One, card: Card) -> One:
    """The panel with everything of its card."""
    return (
        panel.title(card.title)
        .description(card.about)
        .datasource(SOURCE)
        .unit(card.unit)
        .no_value(card.empty)
        .span(card.width)
        .height(card.height)
    )


def query(ref: str, expr: str, name: str = "") -> prometheus.Dataquery:
    """One query of the panel's data source."""
    return prometheus.Dataquery().ref_id(ref).expr(expr).legend_format(name).datasource(SOURCE)


def coloured(panel: One, colours: Mapping[str, str]) -> One:
    """The panel with a fixed colour for each named series."""
    for name, fixed in colours.items():
        named = model.MatcherConfig(id_val="byNames", options={"mode": "include", "names": [name]})
        value = {"mode": "fixed", "fixedColor": fixed}
        panel.with_override(named, [model.DynamicConfigValue(id_val="color", value=value)])
    return panel


def colour(mode: str, fixed: str = SKY) -> build.FieldColor:
    """How a panel's series get their colours."""
    return build.FieldColor().mode(model.FieldColorModeId(mode)).fixed_color(fixed)


def thresholds(steps: Steps) -> build.ThresholdsConfig:
    """The steps; no value here is below the first."""
    made = [model.Threshold(value=value, color=shade) for value, shade in steps]
    return build.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(made)


def worded(words: Words) -> model.ValueMap:
    """Texts and colours in place of values."""
    results = enumerate(words.items())
    return model.ValueMap(
        {str(value): model.ValueMappingResult(text, shade, index=at) for at, (value, (text, shade)) in results}
    )


def last() -> common.ReduceDataOptions:
    """The last value of each series."""
    return common.ReduceDataOptions().calcs(["lastNotNull"]).values(values=False)


def legend() -> common.VizLegendOptions:
    """A list under the panel."""
    shown = common.VizLegendOptions().show_legend(show_legend=True)
    return shown.display_mode(options.LegendDisplayMode.LIST).placement(options.LegendPlacement.BOTTOM)


def row_link(url: str) -> build.DashboardLink:
    """A link on every cell of a table."""
    made = build.DashboardLink("Open this operation").type(model.DashboardLinkType.LINK).url(url)
    return made.icon("external link").tooltip("").tags([])
