"""What the dashboards share: variables, links, annotations of changes, and how panels become a page."""

from collections.abc import Sequence
from typing import Final

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard as model

from dashboards import panels, promql
from dashboards.colours import CHANGES

TAG: Final = "wolkvox"
SCHEMA: Final = 39  # what Grafana 10.4 writes; later ones migrate it
Section = tuple[str, Sequence[panels.Drawn]]

# The row's operation, whatever the dashboard shows; everything else stays as it is.
TO_OPERATION: Final = (
    "/d/wolkvox-operation?${datasource:queryparam}&${job:queryparam}&${instance:queryparam}"
    "&var-operation=${__data.fields.Operation}&${__url_time_range}"
)


def page(
    name: str, about: str, variables: Sequence[model.VariableModel], sections: Sequence[Section]
) -> model.Dashboard:
    """A whole dashboard; its uid is made of its name, its panels are numbered as they stand."""
    slug = name.lower().replace(" ", "-")
    builder = (
        build.Dashboard(f"wolkvox / {name}")
        .uid(f"wolkvox-{slug}")
        .description(about)
        .tags([TAG])
        .readonly()
        .timezone("browser")
        .time("now-24h", "now")
        .refresh("1m")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .link(links())
    )
    for title, members in sections:
        builder.with_row(build.Row(title))
        for member in members:
            builder.with_panel(member)
    made = builder.build()
    made.schema_version = SCHEMA
    made.templating = model.DashboardDashboardTemplating(list(variables))
    for number, panel in enumerate(made.panels or (), 1):
        panel.id_val = number
    return made


def links() -> build.DashboardLink:
    """The other dashboards at the top, with the same variables and times."""
    made = build.DashboardLink("Other wolkvox dashboards").type(model.DashboardLinkType.DASHBOARDS).tags([TAG])
    return made.icon("external link").tooltip("").include_vars(include_vars=True).keep_time(keep_time=True)


def marks() -> list[model.AnnotationQuery]:
    """An annotation query for each kind of change, in its colour."""
    return [
        model.AnnotationQuery(
            name=f"connector {kind}",
            datasource=panels.SOURCE,
            enable=True,
            icon_color=shade,
            expr=promql.fresh_changes(f'change="{kind}"'),
        )
        for kind, shade in CHANGES.items()
    ]


def marked(made: model.Dashboard) -> model.Dashboard:
    """The dashboard with its annotations."""
    made.annotations = model.AnnotationContainer(marks())
    return made


def targets() -> list[model.VariableModel]:
    """The variables that every dashboard begins with: data source, job and instance."""
    source = build.DatasourceVariable("datasource").label("Data source").type("prometheus").build()
    return [
        source,
        chosen("job", "Job", "label_values(wolkvox_polls_total, job)", everything=".+"),
        chosen("instance", "Instance", 'label_values(up{job=~"$job"}, instance)', everything=".+"),
    ]


def operations() -> model.VariableModel:
    """The operations to look at."""
    info = promql.selector("wolkvox_operation_info", scope=promql.TARGETS)
    return chosen("operation", "Operation", f"label_values({info}, operation)", everything=".+")


def chosen(name: str, label: str, query: str, everything: str, regex: str = "") -> model.VariableModel:
    """A variable with many values; `everything` is the expression that stands for all of them."""
    variable = listed(name, label, query).multi(multi=True).include_all(include_all=True).all_value(everything)
    variable.current(model.VariableOption(selected=True, text=["All"], value=["$__all"]))
    return (variable.regex(regex) if regex else variable).build()


def listed(name: str, label: str, query: str) -> build.QueryVariable:
    """A variable whose values come from the data source, asked again when the time range changes."""
    variable = build.QueryVariable(name).label(label).datasource(panels.SOURCE).query(query)
    return variable.refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(model.VariableSort.ALPHABETICAL_ASC)
