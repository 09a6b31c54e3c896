"""A real Kubernetes control plane on this machine, without containers, for tests and the demo.

Imports nothing of ours. It may start processes, write to the cache folder and to temporary folders, and speak to the
API server that it started itself.
"""

from saperly_operator.envtest.assets import Assets
from saperly_operator.envtest.control_plane import ADMIN, ControlPlane
from saperly_operator.envtest.errors import AssetsError, ControlPlaneError, EnvtestError

__all__ = ["ADMIN", "Assets", "AssetsError", "ControlPlane", "ControlPlaneError", "EnvtestError"]
