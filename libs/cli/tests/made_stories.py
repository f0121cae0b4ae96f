"""The stories of the made airline: every clause of the written policy, kept and broken."""

from __future__ import annotations

from made_airline import ASKED, DONE, FRESH, ONE_WAY, PEOPLE, ROUND, Story, legs

CARD = "credit_card_1"


def booking(
    expected, *, keys=ONE_WAY, people=1, cabin="economy", bags=(0, 0), insurance="no", pay=None, **changes
):
    """A booking that is right unless it is said otherwise."""
    price = {"basic_economy": 100, "economy": 200, "business": 500}[cabin] * len(keys) * people
    price += 30 * people if insurance == "yes" else 0
    price += 50 * bags[1]
    arguments = {
        "user_id": "$user",
        "origin": "JFK",
        "destination": "SEA",
        "flight_type": "round_trip" if len(keys) > 1 and keys[-1].startswith("F2") else "one_way",
        "cabin": cabin,
        "flights": legs(*keys),
        "passengers": PEOPLE[:people],
        "payment_methods": pay or [{"payment_id": CARD, "amount": price}],
        "total_baggages": bags[0],
        "nonfree_baggages": bags[1],
        "insurance": insurance,
        **changes,
    }
    return "book_reservation", arguments, expected


def change(expected, *keys, cabin="economy", pay=CARD):
    """Other flights, or another cabin."""
    arguments = {"reservation_id": "$id", "cabin": cabin, "flights": legs(*keys), "payment_id": pay}
    return "update_reservation_flights", arguments, expected


def bags(expected, total, paid, *, pay=CARD):
    """Another number of bags."""
    arguments = {
        "reservation_id": "$id",
        "total_baggages": total,
        "nonfree_baggages": paid,
        "payment_id": pay,
    }
    return "update_reservation_baggages", arguments, expected


def people(expected, count):
    """Other passengers."""
    arguments = {"reservation_id": "$id", "passengers": PEOPLE[-count:]}
    return "update_reservation_passengers", arguments, expected


def cancel(expected):
    """The whole trip."""
    return "cancel_reservation", {"reservation_id": "$id"}, expected


def certificate(expected, amount):
    """A gesture."""
    return "send_certificate", {"user_id": "$user", "amount": amount}, expected


def paid(*parts):
    """Payment methods with their amounts."""
    return [{"payment_id": name, "amount": amount} for name, amount in parts]


REGULAR, SILVER, GOLD = "ria_regular_1", "sam_silver_2", "gil_gold_3"
FREE_BAGS = {
    (REGULAR, "basic_economy"): 0,
    (REGULAR, "economy"): 1,
    (REGULAR, "business"): 2,
    (SILVER, "basic_economy"): 1,
    (SILVER, "economy"): 2,
    (SILVER, "business"): 3,
    (GOLD, "basic_economy"): 2,
    (GOLD, "economy"): 3,
    (GOLD, "business"): 3,
}
COMPLAINT = "My flight was a disaster and I want compensation."

BOOKING = [
    Story("one way", [booking(DONE)]),
    Story("there and back", [booking(DONE, keys=ROUND)]),
    Story("by way of Chicago", [booking(DONE, keys=("F3 2024-05-20", "F4 2024-05-20"))]),
    Story("named back to front", [booking(DONE, keys=("F4 2024-05-20", "F3 2024-05-20"))]),
    Story("five people", [booking(DONE, people=5)]),
    Story("six people", [booking("book-too-many-passengers", people=6)]),
    Story("insured for each", [booking(DONE, people=2, insurance="yes")]),
    Story(
        "one of each kind and three gift cards",
        [
            booking(
                DONE,
                people=5,
                pay=paid(
                    ("certificate_1", 200),
                    ("gift_card_1", 200),
                    ("gift_card_2", 200),
                    ("gift_card_3", 200),
                    (CARD, 200),
                ),
            )
        ],
    ),
    Story(
        "two certificates",
        [booking("book-one-certificate", pay=paid(("certificate_1", 100), ("certificate_2", 100)))],
    ),
    Story("two cards", [booking("book-one-credit-card", pay=paid((CARD, 100), ("credit_card_2", 100)))]),
    Story(
        "four gift cards",
        [booking("book-three-gift-cards", pay=paid(*((f"gift_card_{at}", 50) for at in (1, 2, 3, 4))))],
    ),
    Story(
        "a card that is not on the profile",
        [booking("book-payment-on-profile", pay=paid(("credit_card_9", 200)))],
    ),
    Story(
        "a flight that is on its way",
        [booking("book-flights-available", keys=("F3 2024-05-15", "F4 2024-05-20"))],
    ),
    Story("a delayed flight", [booking("book-flights-available", keys=("F1 2024-05-15",))]),
    Story(
        "a flight that is on time but closed", [booking("book-flights-available", keys=("F6 2024-05-15",))]
    ),
    Story("a day without that flight", [booking("book-flights-available", keys=("F1 2024-06-30",))]),
    Story("flights that lead elsewhere", [booking(ASKED, keys=("F5 2024-05-20",))]),
    Story("another customer's account", [booking("other-customer", user_id=GOLD)]),
    Story("a caller who gave no user id", [booking("caller-unknown")], user="nobody"),
    *(
        Story(f"{who} in {cabin}: free bags only", [booking(DONE, cabin=cabin, bags=(free, 0))], user=who)
        for (who, cabin), free in FREE_BAGS.items()
    ),
    *(
        Story(f"{who} in {cabin}: one bag paid", [booking(DONE, cabin=cabin, bags=(free + 1, 1))], user=who)
        for (who, cabin), free in FREE_BAGS.items()
    ),
    *(
        Story(
            f"{who} in {cabin}: one bag too many free",
            [booking("book-bag-allowance", cabin=cabin, bags=(free + 1, 0))],
            user=who,
        )
        for (who, cabin), free in FREE_BAGS.items()
    ),
    Story("a free bag that is charged", [booking("book-bag-allowance", bags=(1, 1))]),
    Story("free bags of two people", [booking(DONE, people=2, bags=(3, 1))]),
]

CHANGES = [
    Story("a later flight", [change(DONE, "F6 2024-05-20")]),
    Story("by another way", [change(DONE, "F3 2024-05-20", "F4 2024-05-20")]),
    Story(
        "one leg of two kept",
        [change(DONE, "F1 2024-05-20", "F2 2024-05-21")],
        reservation={"flights": ROUND, "round_trip": True},
    ),
    Story(
        "another day in basic economy",
        [change("change-basic-economy", "F1 2024-05-21", cabin="basic_economy")],
        reservation={"cabin": "basic_economy"},
    ),
    Story(
        "basic economy to business, same flights",
        [change(DONE, *ONE_WAY, cabin="business")],
        reservation={"cabin": "basic_economy"},
    ),
    Story(
        "same flights named back to front",
        [change(DONE, *reversed(ROUND), cabin="economy")],
        reservation={"cabin": "basic_economy", "flights": ROUND, "round_trip": True},
    ),
    Story(
        "basic economy: cabin and flights at once",
        [change("change-basic-economy", "F6 2024-05-20")],
        reservation={"cabin": "basic_economy"},
    ),
    Story(
        "basic economy: first the cabin, then the flights",
        [change(DONE, *ONE_WAY), change(DONE, "F6 2024-05-20")],
        reservation={"cabin": "basic_economy"},
    ),
    Story("business to economy", [change(DONE, *ONE_WAY)], reservation={"cabin": "business"}),
    Story("another destination", [change("change-route", "F7 2024-05-20")]),
    Story("another origin", [change("change-route", "F5 2024-05-20")]),
    Story("a one-way trip made a return", [change("change-route", *ROUND)]),
    Story(
        "a return made one way",
        [change("change-route", *ONE_WAY)],
        reservation={"flights": ROUND, "round_trip": True},
    ),
    Story("to a flight that left", [change("change-flights-available", "F1 2024-05-10")]),
    Story("paid by gift card", [change(DONE, "F6 2024-05-20", pay="gift_card_1")]),
    Story("paid by certificate", [change("change-payment", "F6 2024-05-20", pay="certificate_1")]),
    Story("paid by a card of nobody", [change("payment-on-profile", "F6 2024-05-20", pay="credit_card_9")]),
    Story(
        "another customer's trip",
        [change("other-customers-reservation", "F6 2024-05-20")],
        reservation={"owner": GOLD},
    ),
    Story(
        "a trip that was cancelled",
        [change("reservation-is-cancelled", "F6 2024-05-20")],
        reservation={"status": "cancelled"},
    ),
    Story("bags added", [bags(DONE, 2, 1)], reservation={"bags": 1}),
    Story("bags taken away", [bags("bags-only-added", 0, 0)], reservation={"bags": 1}),
    Story("a paid bag declared free", [bags("bag-allowance", 2, 0)], reservation={"bags": 1}),
    Story("a free bag charged", [bags("bag-allowance", 1, 1)]),
    Story("gold: three free, the fourth paid", [bags(DONE, 4, 1)], user=GOLD),
    Story("free after the upgrade", [change(DONE, *ONE_WAY, cabin="business"), bags(DONE, 2, 0)]),
    Story("bags by a card of nobody", [bags("payment-on-profile", 1, 0, pay="credit_card_9")]),
    Story("other names", [people(DONE, 2)], reservation={"passengers": 2}),
    Story("names in basic economy", [people(DONE, 1)], reservation={"cabin": "basic_economy"}),
    Story("one passenger more", [people("passengers-number", 3)], reservation={"passengers": 2}),
    Story("one passenger less", [people("passengers-number", 1)], reservation={"passengers": 2}),
]

CANCELLING = [
    Story("within a day", [cancel(DONE)], reservation={"created_at": FRESH, "cabin": "basic_economy"}),
    Story("business", [cancel(DONE)], reservation={"cabin": "business"}),
    Story(
        "the airline cancelled",
        [cancel(DONE)],
        reservation={"flights": ("F1 2024-05-20", "F2 2024-05-16"), "round_trip": True},
    ),
    Story("old economy", [cancel("cancel-not-covered")]),
    Story("old economy of a gold member", [cancel("cancel-not-covered")], user=GOLD),
    Story(
        "old basic economy, insured",
        [cancel(DONE)],
        told="I am ill.",
        reservation={"insurance": "yes", "cabin": "basic_economy"},
    ),
    Story(
        "insured, a storm", [cancel(DONE)], told="There is a storm coming.", reservation={"insurance": "yes"}
    ),
    Story(
        "insured, other plans",
        [cancel("cancel-reason-not-covered")],
        told="A change of plans.",
        reservation={"insurance": "yes"},
    ),
    Story(
        "insured, not ill",
        [cancel("cancel-reason-not-covered")],
        told="I'm not ill. My plans changed.",
        reservation={"insurance": "yes"},
    ),
    Story("insured, no reason", [cancel(ASKED)], told="Cancel it.", reservation={"insurance": "yes"}),
    Story(
        "insured, two stories",
        [cancel(ASKED)],
        told="My plans changed. Well, I am sick.",
        reservation={"insurance": "yes"},
    ),
    Story(
        "flown in part",
        [cancel("cancel-flown")],
        reservation={"cabin": "business", "flights": ("F1 2024-05-10", "F2 2024-05-25"), "round_trip": True},
    ),
    Story(
        "on its way",
        [cancel("cancel-flown")],
        reservation={"cabin": "business", "flights": ("F3 2024-05-15", "F4 2024-05-20")},
    ),
    Story("twice", [cancel(DONE), cancel("reservation-is-cancelled")], reservation={"cabin": "business"}),
    Story(
        "what was just booked", [booking(DONE), ("cancel_reservation", {"reservation_id": "HATHAT"}, DONE)]
    ),
]

GESTURES = [
    Story(
        "a cancelled flight",
        [certificate(DONE, 200)],
        user=SILVER,
        told=COMPLAINT,
        reservation={"flights": ("F6 2024-05-14",), "passengers": 2},
    ),
    Story(
        "too much",
        [certificate("certificate-not-due", 300)],
        user=SILVER,
        told=COMPLAINT,
        reservation={"flights": ("F6 2024-05-14",), "passengers": 2},
    ),
    Story(
        "a regular member",
        [certificate("certificate-not-due", 100)],
        told=COMPLAINT,
        reservation={"flights": ("F6 2024-05-14",)},
    ),
    Story(
        "a regular member, insured",
        [certificate(DONE, 100)],
        told=COMPLAINT,
        reservation={"flights": ("F6 2024-05-14",), "insurance": "yes"},
    ),
    Story(
        "a regular member in business",
        [certificate(DONE, 100)],
        told=COMPLAINT,
        reservation={"flights": ("F6 2024-05-14",), "cabin": "business"},
    ),
    Story(
        "not asked for",
        [certificate(ASKED, 100)],
        user=GOLD,
        told="Hello.",
        reservation={"flights": ("F6 2024-05-14",)},
    ),
    Story(
        "twice for one trip",
        [certificate(DONE, 100), certificate("certificate-twice", 100)],
        user=GOLD,
        told=COMPLAINT,
        reservation={"flights": ("F6 2024-05-14",)},
    ),
    Story(
        "a delay, nothing changed",
        [certificate("certificate-not-due", 50)],
        user=GOLD,
        told=COMPLAINT,
        reservation={"flights": ("F1 2024-05-15",)},
    ),
    Story(
        "a delay, then cancelled",
        [cancel(DONE), certificate(DONE, 50)],
        user=GOLD,
        told=COMPLAINT,
        reservation={"flights": ("F1 2024-05-15",), "cabin": "business"},
    ),
    Story(
        "a delay, then changed",
        [change(DONE, "F6 2024-05-20"), certificate(DONE, 50)],
        user=GOLD,
        told=COMPLAINT,
        reservation={"flights": ("F1 2024-05-15",)},
    ),
    Story(
        "a delay paid as a cancellation",
        [change(DONE, "F6 2024-05-20"), certificate("certificate-not-due", 100)],
        user=GOLD,
        told=COMPLAINT,
        reservation={"flights": ("F1 2024-05-15",)},
    ),
    Story("nothing happened", [certificate("certificate-not-due", 100)], user=GOLD, told=COMPLAINT),
    Story(
        "to somebody else",
        [("send_certificate", {"user_id": GOLD, "amount": 100}, "other-customer")],
        told=COMPLAINT,
    ),
]

BUSINESS = {"cabin": "business"}
CONSENT = [
    Story("no", [cancel(ASKED)], answer="No.", reservation=BUSINESS),
    Story(
        "a question after the yes",
        [cancel(ASKED)],
        answer="Yes, but will I get all of it back?",
        reservation=BUSINESS,
    ),
    Story("perhaps", [cancel(ASKED)], answer="I guess so.", reservation=BUSINESS),
    Story("a change with the yes", [bags(ASKED, 1, 0)], answer="Yes, but make it three bags."),
    Story(
        "a yes to nothing",
        [cancel(ASKED)],
        read_back="Anything else? Please say yes or no.",
        reservation=BUSINESS,
    ),
    Story(
        "a yes to the insurance",
        [booking(ASKED, insurance="yes")],
        read_back="Would you like insurance, yes or no?",
    ),
    Story("a yes to the way of paying", [booking(ASKED)], read_back=f"Shall I use {CARD}?"),
    Story(
        "a plain yes in other words",
        [cancel(DONE)],
        answer="Please go ahead and cancel it.",
        reservation=BUSINESS,
    ),
]

STORIES = [*BOOKING, *CHANGES, *CANCELLING, *GESTURES, *CONSENT]
