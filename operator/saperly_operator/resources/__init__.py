"""The custom resources of the group saperly.com as frozen pydantic models; crds/ is generated from them.

Imports nothing of ours."""
