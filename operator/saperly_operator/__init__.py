"""The Saperly operator: API keys for fleets of AI agents, minted, delivered, rotated and revoked on Kubernetes."""

__version__ = "0.1.0"
