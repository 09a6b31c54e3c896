"""The vendor's API and nothing else: typed models, the error tree, the client. No Kubernetes in here."""
