# The image: a venv on a slim Python, no package manager in it beyond the base's, any uid, read-only root.
#
# The tag pins Python's minor version and leaves its security fixes to each build. A digest would pin the bytes as well,
# but its value belongs to a registry and grows old: whoever builds for production gives one,
#   docker build --build-arg BASE_IMAGE=python:3.13-slim@sha256:… .
ARG BASE_IMAGE=python:3.13-slim

FROM ${BASE_IMAGE} AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
# python3 and never its path: it is /usr/local/bin in the official image, /usr/bin in Debian's.
RUN python3 -m venv /opt/wolkvox-exporter
WORKDIR /src
COPY requirements/run.txt requirements/
# A slim base has no compiler: a wheel that is missing is said at once.
RUN /opt/wolkvox-exporter/bin/pip install --no-compile --require-hashes --only-binary=:all: -r requirements/run.txt
COPY LICENSE README.md pyproject.toml ./
COPY exporter exporter
# The bytecode is complete and is believed unchecked, so that a read-only root starts as fast as a warm one, whatever a
# builder does to the times of files.
RUN /opt/wolkvox-exporter/bin/pip install --no-compile --no-deps --no-build-isolation . \
    && /opt/wolkvox-exporter/bin/pip uninstall --yes flit-core pip \
    && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/wolkvox-exporter

FROM ${BASE_IMAGE}
COPY --from=builder /opt/wolkvox-exporter /opt/wolkvox-exporter
# The official image comes without the bytecode of the standard library: one run writes what the exporter imports.
# The mode of /tmp is for any uid, with group 0 or without: a new volume takes it over, and nobody else is in here.
RUN /opt/wolkvox-exporter/bin/wolkvox-exporter simulate --scenarios \
    && mkdir --mode=1777 /var/lib/wolkvox-exporter
ENV PATH=/opt/wolkvox-exporter/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    WOLKVOX_EXPORTER_CONFIG_FILE=/etc/wolkvox-exporter/config.yaml \
    WOLKVOX_EXPORTER_STORAGE_PATH=/var/lib/wolkvox-exporter
# The only place that is always writable: temporary files land here too where /tmp is not.
WORKDIR /var/lib/wolkvox-exporter
VOLUME /var/lib/wolkvox-exporter
EXPOSE 10096
# A number, for runAsNonRoot; files that are mounted must be readable for it, or --user names another.
USER 65532:65532
# Asks where the variables say, over TLS if the web configuration has it; what is given as a flag alone is not seen here.
HEALTHCHECK --interval=30s --timeout=10s --start-period=20s CMD ["/opt/wolkvox-exporter/bin/wolkvox-exporter", "healthy"]
ENTRYPOINT ["/opt/wolkvox-exporter/bin/wolkvox-exporter"]
# Last, as they differ between builds of the same sources.
ARG BASE_IMAGE
ARG VERSION=unreleased
ARG REVISION=unknown
LABEL org.opencontainers.image.title="wolkvox-exporter" \
      org.opencontainers.image.description="Prometheus exporter for the connectors of the wolkvox contact-centre cloud" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="${BASE_IMAGE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
