from cerebatch.api import Segmentation as Segmentation
from cerebatch.api import segment as segment
from cerebatch.api import volumes_of as volumes_of
from cerebatch.errors import CerebatchError as CerebatchError
from cerebatch.io.scan import read_scan as read_scan
from cerebatch.labels import LABELS as LABELS
from cerebatch.library.store import open_library as open_library

__version__: str
