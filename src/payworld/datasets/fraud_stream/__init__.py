"""The fraud stream: labelled card payments of any size, from a schema, catalogs and a model."""
