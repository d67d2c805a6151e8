"""The framing: however the bytes are split, the same frames come out, and faults end them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servers.protocol import (
    DATA,
    DATA_BYTES,
    ECHO,
    END,
    FAULT,
    HEADER,
    HEADER_SIZE,
    META,
    BodyError,
    ChangedError,
    Connection,
    DigestError,
    FlagsError,
    Frame,
    FramingError,
    KindError,
    LimitError,
    NameRefusedError,
    NoRootError,
    NotFileError,
    NotFoundError,
    OversizeError,
    ProtocolError,
    RequestError,
    SizeError,
    StateError,
    StorageError,
    frame,
    json_body,
)

LIMIT = 64

FRAMES = st.lists(
    st.tuples(st.integers(0, 255), st.integers(0, 65_535), st.binary(max_size=LIMIT)), max_size=8
)
FAULTY_HEADERS = st.one_of(
    st.builds(
        HEADER.pack,
        st.integers(LIMIT + 1, 2**32 - 1),
        st.integers(0, 255),
        st.integers(0, 255),
        st.integers(0, 65_535),
    ),
    st.builds(
        HEADER.pack,
        st.integers(0, LIMIT),
        st.integers(0, 255),
        st.integers(1, 255),
        st.integers(0, 65_535),
    ),
)


def in_pieces(data: bytes, cuts: list[int]) -> list[Frame]:
    """Receive `data` cut at the given places, taken modulo its length."""
    connection = Connection(LIMIT)
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    pieces = [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]
    return [each for piece in pieces for each in connection.receive(piece)]


@given(FRAMES, st.lists(st.integers(min_value=0)))
def test_frames_come_out_as_they_went_in_however_they_are_split(
    frames: list[Frame], cuts: list[int]
) -> None:
    assert in_pieces(b"".join(frame(*each) for each in frames), cuts) == frames


@given(FRAMES, FAULTY_HEADERS, st.binary(), st.lists(st.integers(min_value=0)))
def test_a_fault_comes_after_the_frames_before_it_and_ends_everything(
    frames: list[Frame], header: bytes, junk: bytes, cuts: list[int]
) -> None:
    data = b"".join(frame(*each) for each in frames) + header + junk
    received = in_pieces(data, cuts)
    assert received == in_pieces(data, [])
    assert received[:-1] == frames
    assert received[-1][:2] == (FAULT, HEADER.unpack(header)[3])


@given(FRAMES, st.lists(st.integers(min_value=0)))
def test_the_beginning_of_a_frame_gives_nothing(frames: list[Frame], cuts: list[int]) -> None:
    data = b"".join(frame(*each) for each in [*frames, (ECHO, 1, b"cut off")])
    assert in_pieces(data[:-1], cuts) == frames


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (HEADER.pack(LIMIT + 1, ECHO, 0, 5), OversizeError.code),
        (HEADER.pack(LIMIT, ECHO, 1, 5), FlagsError.code),
        (HEADER.pack(LIMIT + 1, ECHO, 1, 5), OversizeError.code),
    ],
)
def test_a_faulty_header_is_judged_before_a_byte_of_its_body(header: bytes, code: int) -> None:
    [(kind, tag, body)] = Connection(LIMIT).receive(header)
    assert (kind, tag) == (FAULT, 5)
    assert int.from_bytes(body[:2], "big") == code
    assert body[2:].decode().endswith(".")


def test_a_body_of_exactly_the_limit_is_received() -> None:
    assert Connection(LIMIT).receive(frame(ECHO, 1, b"x" * LIMIT)) == [(ECHO, 1, b"x" * LIMIT)]


@pytest.mark.parametrize(("kind", "most"), [(META, 4096), (DATA, DATA_BYTES), (END, 4096)])
def test_a_part_of_a_transfer_has_a_limit_of_its_own(kind: int, most: int) -> None:
    assert Connection().receive(frame(kind, 1, bytes(most))) == [(kind, 1, bytes(most))]
    [(fault, tag, body)] = Connection().receive(HEADER.pack(most + 1, kind, 0, 5))
    assert (fault, tag, int.from_bytes(body[:2], "big")) == (FAULT, 5, OversizeError.code)
    assert str(most) in body.decode()


def test_a_lower_limit_holds_for_the_parts_of_a_transfer_too() -> None:
    [(fault, _, _)] = Connection(LIMIT).receive(HEADER.pack(LIMIT + 1, DATA, 0, 5))
    assert fault == FAULT


def test_json_is_written_in_one_way() -> None:
    assert json_body({"name": "ä b", "size": 1}) == '{"name": "ä b", "size": 1}'.encode()
    assert json_body([]) == b"[]"


def test_the_header_of_a_body_in_many_pieces_is_looked_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = []

    def unpack(data: bytes, offset: int) -> tuple[int, ...]:
        looks.append(offset)
        return HEADER.unpack_from(data, offset)

    monkeypatch.setattr("servers.protocol.unpack_header", unpack)
    connection = Connection()
    data = frame(ECHO, 1, bytes(100_000))
    received = [each for byte in data for each in connection.receive(bytes([byte]))]
    assert received == [(ECHO, 1, bytes(100_000))]
    assert looks == [0]


def test_a_frame_begins_with_its_header() -> None:
    assert frame(ECHO, 7, b"hi") == HEADER.pack(2, ECHO, 0, 7) + b"hi"
    assert HEADER_SIZE == 8


def test_every_error_has_the_code_of_the_wire_and_its_place_in_the_family() -> None:
    codes: dict[type[ProtocolError], int] = {
        OversizeError: 1,
        FlagsError: 2,
        KindError: 3,
        BodyError: 4,
        LimitError: 5,
        NoRootError: 6,
        NameRefusedError: 7,
        NotFoundError: 8,
        NotFileError: 9,
        DigestError: 10,
        SizeError: 11,
        StorageError: 12,
        ChangedError: 13,
        StateError: 14,
    }
    assert {error: error.code for error in codes} == codes
    assert {error for error in codes if issubclass(error, FramingError)} == {
        OversizeError,
        FlagsError,
    }
    assert {error for error in codes if not issubclass(error, RequestError)} == {
        OversizeError,
        FlagsError,
        StateError,
    }


def test_an_error_becomes_its_code_and_its_sentence() -> None:
    assert KindError("No.").body() == b"\x00\x03No."
