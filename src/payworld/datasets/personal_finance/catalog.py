"""Who is paid, at what prices and at what hours, unless the configuration says otherwise.

Every name is invented. Prices are USD, from and to; after them may stand the hours at which a
merchant sells, if not those of its category. Hours are 24 relative weights.
"""

from __future__ import annotations

from typing import TypeAlias

__all__ = [
    "BUSINESS_HOURS",
    "CARE_HOURS",
    "DAYTIME_HOURS",
    "EMPLOYERS",
    "ENTERTAINMENT",
    "FOOD",
    "HEALTHCARE",
    "MEAL_HOURS",
    "MERCHANDISE",
    "MORNING_HOURS",
    "NIGHT_BATCH_HOURS",
    "OUTING_HOURS",
    "PAY_HOURS",
    "RESTAURANT_HOURS",
    "SUBSCRIPTIONS",
    "TRANSPORTATION",
    "TRAVEL_HOURS",
    "UTILITIES",
]

Prices: TypeAlias = tuple[tuple[str, float, float], ...]
Shops: TypeAlias = tuple[tuple[str, float, float] | tuple[str, float, float, str], ...]
Hours: TypeAlias = tuple[float, ...]

FOOD: Shops = (
    ("Green Basket Market", 18, 210, "daytime"),
    ("Corner Oven Bakery", 5, 28, "morning"),
    ("Harbor Light Grill", 18, 120, "meals"),
    ("Morning Bird Coffee", 5, 16, "morning"),
    ("Little Saigon Kitchen", 11, 65, "meals"),
    ("Sunny Acre Foods", 22, 240, "daytime"),
    ("Two Rivers Pizza", 12, 60, "meals"),
    ("The Copper Ladle", 20, 140, "meals"),
    ("Taqueria La Paloma", 8, 45, "meals"),
    ("Night Owl Diner", 9, 48),
    ("Bamboo Garden", 12, 75, "meals"),
    ("Crisp & Green Salads", 9, 24, "meals"),
    ("Old Mill Tavern", 14, 95, "meals"),
    ("Daily Grind Espresso", 5, 18, "morning"),
    ("Family Table Grocery", 20, 230, "daytime"),
)
MERCHANDISE: Shops = (
    ("Lakeside Department Store", 15, 250),
    ("Everyday Mart", 8, 180),
    ("Bright Home Goods", 12, 220),
    ("Pixel & Plug Electronics", 15, 250),
    ("Thread & Thimble Apparel", 14, 190),
    ("Page Turner Books", 8, 60),
    ("Hammer & Nail Hardware", 9, 200),
    ("Pawsome Pet Supply", 10, 120),
    ("Trailhead Outfitters", 18, 250),
    ("Click Cart Online", 7, 230),
    ("Petal & Stem Florist", 15, 90),
    ("Toy Chest", 9, 110),
    ("Dollar Barn", 5, 40),
)
TRANSPORTATION: Shops = (
    ("Metro Transit Authority", 5, 40),
    ("Swift Ride Share", 7, 65),
    ("Gold Star Gas", 22, 85),
    ("Highway Fuel & Go", 20, 90),
    ("Bayline Commuter Rail", 6, 60),
    ("City Park Garages", 5, 45),
    ("Pedal Bike Share", 5, 20),
    ("Turnpike Toll Pass", 10, 60),
    ("Quick Lube Auto Care", 35, 160),
    ("Yellow Line Cabs", 8, 70),
)
ENTERTAINMENT: Shops = (
    ("Grand Palace Cinema", 12, 70),
    ("Strike Zone Bowling", 14, 80),
    ("Riverside Concert Hall", 35, 220),
    ("Laugh Track Comedy Club", 20, 110),
    ("Arcade Alley", 8, 60),
    ("City Science Museum", 12, 75, "daytime"),
    ("Home Run Ballpark", 25, 180),
    ("Blue Note Jazz Cellar", 18, 120),
    ("Escape Hour", 28, 140),
)
SUBSCRIPTIONS: Prices = (
    ("Streamly Video", 7, 24),
    ("Tuneloop Music", 5, 18),
    ("Gamevault Pass", 9, 20),
    ("Daily Ledger News", 5, 20),
    ("Audiochapter Books", 8, 18),
    ("Cinebox Premium", 9, 25),
    ("Sportsfan Live", 12, 45),
    ("Pixelcloud Photos", 5, 13),
)
# Nine kinds, and then another company for each: a person's bills follow one another here, so
# nobody pays two companies for the same.
UTILITIES: Prices = (
    ("Northside Power & Light", 45, 210),
    ("Clearwater Utility District", 25, 110),
    ("Fibernet Internet", 40, 110),
    ("Talkwave Mobile", 30, 130),
    ("Prairie Gas Company", 25, 160),
    ("Metro Waste Services", 15, 60),
    ("Skyview Satellite TV", 35, 120),
    ("Safe Harbor Alarm", 20, 70),
    ("Heritage Telephone", 20, 60),
    ("Green Valley Electric Co-op", 45, 210),
    ("City Water & Sewer", 25, 110),
    ("Cableport Broadband", 40, 120),
    ("Signal One Wireless", 30, 130),
    ("Bluestem Natural Gas", 25, 160),
    ("Tidy Town Recycling", 15, 60),
    ("Channelwood Cable TV", 35, 120),
    ("Watchful Home Security", 20, 70),
    ("Copperline Telephone", 20, 60),
)
HEALTHCARE: Shops = (
    ("Wellspring Pharmacy", 6, 120),
    ("Maple Street Family Clinic", 25, 220),
    ("Bright Smile Dental", 35, 250),
    ("Clear Sight Optical", 30, 240),
    ("Corner Drug & Health", 5, 80),
    ("Motion Physical Therapy", 30, 150),
    ("Valley Lab Services", 15, 200),
    ("Calm Harbor Counseling", 30, 180),
)
EMPLOYERS: tuple[str, ...] = (
    "Alder & Finch Logistics",
    "Beacon Hill Software",
    "Cedar Ridge School District",
    "Delta Point Engineering",
    "Evergreen Health System",
    "Fairview Manufacturing",
    "Granite State Insurance Group",
    "Hollow Creek Construction",
    "Ironwood Consulting",
    "Juniper Labs",
    "Kestrel Aviation Services",
    "Lantern Media Group",
    "Meridian County Government",
    "Northwind Freight",
    "Oakline Furniture Works",
    "Pinnacle Data Systems",
    "Quarry Lane Architects",
    "Redstone University",
    "Silver Lake Hospitality",
    "Tidewater Shipyards",
    "Union Square Legal",
    "Vista Grande Foods",
    "Westbrook Financial Services",
    "Yarrow Pharmaceuticals",
)

MEAL_HOURS: Hours = (
    *(0.2, 0.1, 0.0, 0.0, 0.0, 0.2, 1.0, 2.5, 3.0, 2.0, 1.5, 3.0),
    *(6.0, 4.0, 1.5, 1.2, 2.0, 5.0, 9.0, 9.5, 7.0, 4.0, 1.5, 0.6),
)
MORNING_HOURS: Hours = (
    *(0.0, 0.0, 0.0, 0.0, 0.1, 1.0, 5.0, 9.0, 9.0, 6.0, 4.0, 2.5),
    *(2.0, 2.0, 2.0, 1.5, 1.0, 0.5, 0.2, 0.0, 0.0, 0.0, 0.0, 0.0),
)
RESTAURANT_HOURS: Hours = (
    *(0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.1, 0.2, 0.5, 3.0),
    *(7.0, 5.0, 1.5, 0.7, 1.5, 5.0, 9.5, 10.0, 7.5, 4.0, 1.5, 0.4),
)
DAYTIME_HOURS: Hours = (
    *(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.2, 0.8, 2.0, 4.5, 6.0, 6.0),
    *(5.0, 4.5, 4.5, 5.0, 6.5, 8.0, 6.5, 4.0, 2.0, 0.8, 0.1, 0.0),
)
BUSINESS_HOURS: Hours = (
    *(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.1, 0.3, 1.0, 3.0, 5.0, 6.0),
    *(6.0, 5.0, 5.0, 5.0, 6.0, 7.0, 6.0, 4.0, 2.0, 1.0, 0.4, 0.1),
)
TRAVEL_HOURS: Hours = (
    *(0.5, 0.2, 0.1, 0.1, 0.2, 1.0, 3.0, 7.0, 7.0, 4.0, 2.5, 2.5),
    *(3.0, 3.0, 3.0, 4.0, 6.0, 8.0, 6.0, 4.0, 3.0, 2.5, 2.0, 1.0),
)
OUTING_HOURS: Hours = (
    *(0.5, 0.2, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.2, 0.5, 1.0, 1.5),
    *(2.0, 2.5, 3.0, 3.0, 3.0, 4.0, 7.0, 9.0, 9.0, 6.0, 3.0, 1.0),
)
CARE_HOURS: Hours = (
    *(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 3.0, 6.0, 7.0, 6.0),
    *(3.0, 5.0, 7.0, 6.0, 5.0, 3.0, 1.5, 0.5, 0.2, 0.0, 0.0, 0.0),
)
NIGHT_BATCH_HOURS: Hours = (
    *(1.0, 1.0, 2.0, 3.0, 3.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0, 0.5),
    *(0.5, 0.5, 0.5, 0.5, 0.5, 0.2, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1),
)
PAY_HOURS: Hours = (
    *(0.0, 0.0, 0.0, 0.0, 1.0, 4.0, 6.0, 4.0, 2.0, 1.0, 0.0, 0.0),
    *(0.0,) * 12,
)
