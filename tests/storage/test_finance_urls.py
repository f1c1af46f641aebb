"""Database URLs: what is understood, what is refused, and that no message shows a password."""

from pathlib import Path

import pytest

from payworld.errors import UsageError
from payworld.storage.database.load import load_file
from payworld.storage.database.urls import masked, parse_url

SERVER = "postgresql://ann:hunter2@127.0.0.1:5432/finance"
# None of them is reached: a URL is read before anything else is done.
WRONG = [
    ("", "not a database URL"),
    ("data/payworld.db", "not a database URL"),
    ("ann:hunter2", "not a database URL"),
    ("postgresql:ann:hunter2@h/d", "not a database URL"),
    ("postgresql://ann:hunter2", "not a database URL"),
    ("postgresql://ann:hunter2@h:port/d", "not a database URL"),
    ("postgresql://ann:hun/ter2@h:port/d", "not a database URL"),
    ("host=h user=ann password=hunter2 dbname=d", "not a database URL"),
    ("host=h user=ann password = hunter2", "not a database URL"),
    ("mysql://ann:hunter2@h/d", "'mysql' is not supported"),
    ("postgresql+psycopg2://ann:hunter2@h/d", "'postgresql+psycopg2' is not supported"),
    ("redis://:hunter2@h", "'redis' is not supported"),
    ("postgresql://ann:hunter2@h", "names no database"),
    ("postgresql://ann:hunter2@h:99999/d", "99999 is no port"),
    ("postgresql://ann:hun@ter2@h/d", "more than one @"),
    ("postgresql://ann:hun@/ter2@h/d", "more than one @"),
    (f"{SERVER}?sslpassword=hunter2", "'sslpassword' is not supported"),
    (f"{SERVER}?channel_binding=require", "'channel_binding' is not supported"),
    (f"{SERVER}?sslmode=disable&sslmode=require", "'sslmode' stands there twice"),
    (f"{SERVER}?connect_timeout=soon", "connect_timeout = 'soon'"),
    (f"{SERVER}?timeout=0", "timeout = '0'"),
    ("sqlite://", "names no file"),
    ("sqlite:///", "names no file"),
    ("sqlite:///:memory:", "names no file"),
    ("sqlite:///file:d?mode=memory&uri=true", "names no file"),
    ("sqlite://host/d.db", "three slashes"),
    ("sqlite:///d.db?mode=ro", "'mode' is not supported; known are timeout, uri"),
    ("sqlite:///d.db?timeout=nan", "timeout = 'nan'"),
]


@pytest.mark.parametrize(("url", "named"), WRONG)
def test_a_wrong_url_is_named_without_its_password(tmp_path: Path, url: str, named: str) -> None:
    with pytest.raises(UsageError, match="--database-url = ") as caught:
        load_file(tmp_path / "never-read.json", url)
    message = str(caught.value)
    assert named in message
    assert not any(part in message for part in ("hunter2", "hun/ter2", "hun@", "ter2@"))


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///data/payworld.db",
        "sqlite:///:of-mine.db",
        "sqlite:///file:d.db?mode=rwc&uri=true",
        "postgresql://127.0.0.1:5432/finance?host=h&sslmode=require",
        "postgresql://ann@127.0.0.1/finance",
        "postgresql://[::1]:5432/finance",
    ],
)
def test_what_holds_no_password_is_shown_whole(url: str) -> None:
    assert masked(url) == url


def test_the_names_of_postgresqls_own_library_are_understood() -> None:
    url, arguments = parse_url(f"{SERVER}?sslmode=require&connect_timeout=3&application_name=app")
    assert arguments == {
        "ssl": "require",
        "timeout": 3.0,
        "server_settings": {"application_name": "app"},
    }
    assert not url.query
    assert url.drivername == "postgresql+asyncpg"


def test_a_socket_stays_in_the_url() -> None:
    url, _ = parse_url("postgres://ann@/finance?host=/run/postgresql&port=5433")
    assert url.query == {"host": "/run/postgresql", "port": "5433"}


def test_sqlite_takes_a_timeout_and_its_own_parameters() -> None:
    url, arguments = parse_url("sqlite:///file:d.db?uri=true&mode=rwc&timeout=0.5")
    assert arguments == {"timeout": 0.5}
    assert url.query == {"uri": "true", "mode": "rwc"}
