"""Personal-finance tables in SQLite and PostgreSQL; SQLAlchemy is imported only when used."""
