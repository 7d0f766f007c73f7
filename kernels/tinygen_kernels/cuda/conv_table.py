"""The fastest tile and number of splits for classes of shapes, as measured on a card.

Keys are `conv_tiles.Product.shape_class`, for example
    "conv_mma tf32 1 x 16384 x 512 x 8192": ("128x128", 2),
A class that is missing gets what `conv_tiles.default` estimates.
"""

TABLE: dict[str, tuple[str, int]] = {}
