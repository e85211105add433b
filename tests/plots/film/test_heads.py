import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jaxopt_edu.plots.film.heads import Place, bounds, seat

ROOM = np.array([280.0, 140.0])
SIZES = np.array([[26.0, 13.0], [70.0, 13.0], [60.0, 13.0], [58.0, 13.0], [62.0, 13.0]])
# Some lie outside the map.
spots = st.lists(st.tuples(st.floats(-20, 300), st.floats(-20, 160)), min_size=5, max_size=5)


def boxes(heads, places):
    return [
        bounds(head, size, place)
        for head, size, place in zip(heads, SIZES, places, strict=True)
        if place is not None
    ]


@given(spots, spots)
def test_names_lie_inside_the_map_and_over_no_other(first, second):
    places: list[Place | None] = [None] * 5
    for heads in (np.array(first), np.array(second)):
        places = seat(heads, SIZES, ROOM, places)
        found = boxes(heads, places)
        for index, box in enumerate(found):
            assert (box[0] >= 0).all()
            assert (box[1] <= ROOM).all()
            for other in found[index + 1 :]:
                assert (box[0] >= other[1]).any() or (other[0] >= box[1]).any()


def test_all_from_one_start_have_a_place():
    heads = np.tile([[40.0, 70.0]], (5, 1))
    places = seat(heads, SIZES, ROOM, [None] * 5)
    assert None not in places
    assert places[0] == Place(1, 0)


def test_a_name_stays_where_it_was_while_it_can():
    heads = np.array([[40.0, 20.0], [40.0, 40.0], [40.0, 60.0], [40.0, 80.0], [40.0, 100.0]])
    before: list[Place | None] = [Place(1, 1), None, None, None, None]
    assert seat(heads, SIZES, ROOM, before)[0] == Place(1, 1)
    assert seat(heads + np.array([220, 0]), SIZES, ROOM, before)[1] == Place(-1, 0)  # no room on the right


def test_a_head_that_is_not_seen_has_no_name():
    heads = np.full((5, 2), np.nan)
    heads[1] = [40.0, 40.0]
    assert seat(heads, SIZES, ROOM, [None] * 5) == [None, Place(1, 0), None, None, None]


def test_a_name_wider_than_the_map_is_left_out():
    assert seat(np.array([[5.0, 5.0]]), np.array([[300.0, 13.0]]), ROOM, [None]) == [None]
