"""wolkvox-exporter: a Prometheus exporter for the connectors of the wolkvox contact-centre cloud."""

__version__ = "0.1.0"
