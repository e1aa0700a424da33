"""Pictures of crystals: ball-and-stick drawings on one sheet."""

from crystalsmith.pictures.cell_contents import cell_filled
from crystalsmith.pictures.contact_sheet import contact_sheet

__all__ = ["cell_filled", "contact_sheet"]
