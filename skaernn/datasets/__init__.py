"""Two small real data sets of sequences, shipped with the package."""

from ._loaders import load_japanese_vowels, load_mauna_loa_co2

__all__ = ["load_japanese_vowels", "load_mauna_loa_co2"]
