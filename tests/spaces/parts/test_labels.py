"""Labels have one order, and those that are spelled alike are told."""

from spaces.parts.labels import missing_among_numbers, sorted_labels, spelled_alike


def test_whole_numbers_with_a_point_are_in_the_order_of_numbers() -> None:
    expected = [f"{number}.0" for number in range(12)]
    assert sorted_labels(expected[::-1]) == expected
    assert sorted_labels(["10.0", "2.0", "nan"]) == ["10.0", "2.0", "nan"]  # by name
    assert sorted_labels(["10.5", "9"]) == ["10.5", "9"]


def test_labels_that_are_the_same_number_have_one_order() -> None:
    assert sorted_labels(["1", "01"]) == sorted_labels(["01", "1"]) == ["01", "1"]


def test_nan_is_a_missing_label_among_numbers_alone() -> None:
    assert missing_among_numbers(["1", "NaN", "2.0"]) == "NaN"
    assert missing_among_numbers(["nan", "cat"]) is None
    assert missing_among_numbers(["1", "2"]) is None
    assert missing_among_numbers(["1", "nan", "cat"]) is None
    assert missing_among_numbers(["nan"]) is None


def test_names_that_differ_in_their_spelling_alone_are_found() -> None:
    assert spelled_alike(["07", "7", "7.0", "8"]) == ["'07' and '7' and '7.0'"]
    assert spelled_alike(["Dog", "dog", "x"]) == ["'Dog' and 'dog'"]
    assert spelled_alike(["caf\u00e9", "cafe\u0301"]) == [r"'caf\xe9' and 'cafe\u0301'"]
    assert spelled_alike(["7", "8"]) == []
