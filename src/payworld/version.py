"""The version of the generator; equal versions make equal bytes."""

__version__ = "0.1.0"
