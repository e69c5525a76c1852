"""Guessing the target by name and kind, and what is proposed for exclusion."""

import numpy as np
import pandas as pd
import pytest
from data_files import make_frame

from ecoval_core.tables import detect_target, make_table, prepare, suggest_exclusions

N = 400
RNG = np.random.default_rng(11)
# What the letters of the tables below stand for.
COLUMNS = {
    "i": lambda: np.arange(N),
    "b": lambda: RNG.integers(0, 2, N),
    "c": lambda: RNG.choice(["u", "v", "w"], N),
    "f": lambda: RNG.integers(0, 9, N),
    "w": lambda: RNG.integers(1, 10_000, N),
    "a": lambda: RNG.normal(size=N),
    "d": lambda: pd.to_datetime("2020-01-01") + pd.to_timedelta(RNG.integers(0, 5, N), unit="D"),
}


def table_of(columns):
    """A frame from names, each with a letter for its kind behind a colon."""
    pairs = (part.rsplit(":", 1) for part in columns.split(", "))
    return pd.DataFrame({name: COLUMNS[kind]() for name, kind in pairs})


@pytest.mark.parametrize(
    ("target", "columns"),
    [
        ("Status", "Area:a, Status:c, Rooms:f, Paid:b"),
        ("Churn", "customerID:i, gender:c, Contract:c, Churn:b, MonthlyCharges:a, Price:a"),
        ("Churn Label", "CustomerID:i, City:c, Churn Label:b, Churn Score:w, Churn Reason:c"),
        ("Attrition_Flag", "CLIENTNUM:i, Attrition_Flag:b, Marital_Status:c, Income:f"),
        ("Survived", "PassengerId:i, Survived:b, Pclass:f, Sex:c, Fare:a, Embarked:c"),
        ("Loan_Status", "Loan_ID:i, Married:c, Credit_History:b, Loan_Status:b, Property_Area:c"),
        ("isFraud", "step:w, type:c, amount:a, isFraud:b, isFlaggedFraud:b"),
        (
            "default.payment.next.month",
            "ID:i, SEX:b, PAY_0:f, BILL_AMT1:a, default.payment.next.month:b",
        ),
        ("DEATH_EVENT", "age:w, diabetes:b, smoking:b, time:w, DEATH_EVENT:b"),
        ("Outcome", "Glucose:w, Diabetes:b, Outcome:b, Age:w"),
        ("y", "age:w, marital:c, default:b, loan:b, poutcome:c, y:b"),
        ("price", "carat:a, cut:c, price:a, x:a, y:a, z:a"),
        ("SalePrice", "Id:i, MSSubClass:f, OverallQual:f, SaleType:c, SalePrice:a, Heated:b"),
        (
            "booking_status",
            "Booking_ID:i, market_segment_type:c, avg_price_per_room:a, booking_status:c, z:b",
        ),
        ("median_house_value", "latitude:a, median_income:a, median_house_value:a, ocean:a"),
        ("quality", "type:c, acidity:a, quality:f"),
        ("left", "satisfaction_level:a, left:b, department:c, salary:c"),
        ("kind", "status_date:d, size:a, kind:c"),
        ("kind", "churn_id:f, size:a, kind:c"),
        ("risk", "class_id:f, target_id:i, risk:b, age:w"),
        ("outcome", "died:w, outcome:b, note:c"),
        # Nothing is named like a target: the last column of classes, or else of amounts.
        ("second", "first:a, second:c"),
        ("first", "first:c, second:a, id:i"),
        ("second", "first:a, second:a"),
    ],
)
def test_targets_are_guessed_by_name_and_kind(target, columns):
    assert detect_target(table_of(columns)) == target


def test_an_id_named_like_a_target_is_none():
    frame = table_of("size:a, colour:c")
    for name in ("label", "class"):
        assert detect_target(frame.assign(**{name: RNG.permutation(N)})) == "colour"


def test_text_that_differs_in_every_row_is_no_target():
    frame = table_of("size:a, colour:c")
    code = [f"c {i}" for i in range(N)]
    assert detect_target(frame.assign(code=code)) == "colour"
    assert detect_target(pd.DataFrame({"id": range(N), "code": code})) == "code", "nothing else"


def test_a_target_that_nothing_can_learn_is_named_rather_than_another_taken():
    frame = table_of("size:a, colour:c").assign(target="only")
    assert detect_target(frame) == "target"
    assert detect_target(frame.rename(columns={"target": "status"})) == "colour"


def prose(n_rows=N, n_words=9):
    words = ["excellent", "awful", "staff", "room", "breakfast", "noisy", "clean", "never", "again"]
    return [" ".join(RNG.choice(words, n_words)) for _ in range(n_rows)]


def test_free_text_is_left_out_only_where_it_says_nothing():
    frame = make_frame(N, review=prose(), rating=RNG.integers(1, 6, N))
    reasons = suggest_exclusions(frame, "label")
    assert list(reasons) == ["review"]
    assert "did not help to predict 'label'" in reasons["review"]
    assert make_table(frame, "t", "label").excluded == reasons
    assert "review" in suggest_exclusions(frame.astype({"review": "category"}), "label")
    telling = frame.assign(review=frame["review"] + " it was " + frame["label"].astype(str))
    assert suggest_exclusions(telling, "label") == {}


def test_text_that_repeats_or_is_short_is_kept():
    few = prose(20)
    frame = make_frame(N, answer=[few[i % 20] for i in range(N)], name=prose(N, 2))
    assert suggest_exclusions(frame, "label") == {}


def test_free_text_is_kept_where_there_is_nothing_else():
    frame = pd.DataFrame({"review": prose(), "sentiment": ["good", "bad"] * (N // 2)})
    assert suggest_exclusions(frame, "sentiment") == {}
    assert suggest_exclusions(frame) == {}
    assert make_table(frame, "t").features == ["review"]
    with_id = frame.assign(id=range(N))
    assert list(suggest_exclusions(with_id, "sentiment")) == ["id"]


def test_the_reasons_stand_in_the_order_of_the_columns_and_are_short():
    frame = make_frame(N, constant="x\ny" * 500)
    frame.insert(0, "review", prose())
    frame.insert(1, "id", range(N))
    reasons = suggest_exclusions(frame, "label")
    assert list(reasons) == ["review", "id", "constant"]
    assert all(len(reason) < 100 and reason.isprintable() for reason in reasons.values())


def test_integers_too_large_for_a_float_name_something():
    frame = pd.DataFrame({"a": np.arange(40.0) % 7, "y": ["u", "v"] * 20})
    frame["code"] = pd.Series([10**400 + i % 3 for i in range(40)], dtype=object)
    prepared = prepare(make_table(frame, "codes", target="y"))
    assert prepared.X_train.shape[1] == 1 + 3
