"""Files of every common kind become the bytes that they show."""

import io

import numpy as np
import pytest
from PIL import Image

from dsbench.data.picture import Unreadable, read

SIZE = 16
COLOURS = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
GREY = COLOURS[..., 0]
FLAT = np.broadcast_to(np.array([200, 40, 90], np.uint8), (SIZE, SIZE, 3))


@pytest.fixture
def saved(tmp_path):
    def save(picture, suffix, **options):
        path = tmp_path / f"picture{suffix}"
        picture.save(path, **options)
        return path

    return save


def pixels(path, size=SIZE, grey=False):
    return read(path, size, grey).pixels


@pytest.mark.parametrize(
    ("suffix", "options"), [(".png", {}), (".bmp", {}), (".tiff", {}), (".ppm", {}), (".webp", {"lossless": True})]
)
def test_a_picture_of_the_size_wanted_keeps_every_value(saved, suffix, options):
    assert np.array_equal(pixels(saved(Image.fromarray(COLOURS), suffix, **options)), COLOURS)


def test_a_jpeg_is_what_its_decoder_says_and_smaller_it_keeps_its_colours(saved):
    path = saved(Image.fromarray(COLOURS), ".jpg")
    assert np.array_equal(pixels(path), np.asarray(Image.open(path)))
    large = saved(Image.fromarray(FLAT).resize((400, 300)), ".jpg", quality=100)  # decoded at an eighth of its size
    assert np.abs(pixels(large).astype(int) - FLAT).max() <= 3


def test_the_middle_of_a_picture_is_kept_and_made_smaller_without_aliasing(saved):
    stripes = np.zeros((64, 128), np.uint8)
    stripes[:, 32:96:2] = 200  # in the square in the middle; a filter without reduction would see them or not
    assert np.abs(pixels(saved(Image.fromarray(stripes), ".png"))[2:-2, 2:-2].astype(int) - 100).max() <= 2


def test_grey_pictures_have_three_equal_channels_or_one(saved):
    path = saved(Image.fromarray(GREY), ".png")
    assert np.array_equal(pixels(path), np.stack([GREY] * 3, axis=-1))
    assert np.array_equal(pixels(path, grey=True), GREY[..., None])
    assert not read(path, SIZE, False).coloured


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white_and_what_is_not_keeps_its_colour(saved, mode):
    alpha = np.zeros((SIZE, SIZE), np.uint8)
    alpha[:, 8:] = 255
    picture = Image.fromarray(np.dstack([FLAT, alpha]))
    if mode == "P":
        picture = Image.fromarray((alpha // 255).astype(np.uint8)).convert("P")
        picture.putpalette([1, 2, 3, 200, 40, 90])
        path = saved(picture, ".png", transparency=0)
    else:
        path = saved(picture.convert(mode), ".png")
    shown = pixels(path)
    assert (shown[:, :8] == 255).all()
    assert (
        shown[:, 8:] == (np.asarray(Image.fromarray(FLAT).convert("L"))[0, 0] if mode == "LA" else FLAT[0, 0])
    ).all()


def test_a_half_transparent_colour_is_half_white(saved):
    picture = Image.fromarray(np.dstack([FLAT, np.full((SIZE, SIZE), 128, np.uint8)]))
    half = FLAT * (128 / 255) + 255 * (127 / 255)
    assert np.abs(pixels(saved(picture, ".png")) - half).max() <= 1


def test_of_sixteen_bits_the_upper_eight_are_kept(saved):
    values = np.arange(256, dtype=np.uint16).reshape(16, 16) * 256 + 77
    for suffix in (".png", ".tiff"):
        assert np.array_equal(pixels(saved(Image.fromarray(values), suffix))[..., 1], values >> 8)


def test_cmyk_is_shown_in_rgb(saved):
    path = saved(Image.fromarray(FLAT).convert("CMYK"), ".jpg", quality=100)
    assert np.abs(pixels(path).astype(int) - FLAT).max() <= 3


@pytest.mark.parametrize(("orientation", "turned"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_a_picture_is_turned_as_its_camera_says(saved, orientation, turned):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(Image.fromarray(COLOURS), ".png", exif=exif)
    assert np.array_equal(pixels(path), np.rot90(COLOURS, turned))


def test_of_several_frames_the_first_is_read(saved):
    frames = [Image.new("RGB", (SIZE, SIZE), colour) for colour in ("red", "blue")]
    for suffix in (".gif", ".webp"):
        path = saved(frames[0], suffix, save_all=True, append_images=frames[1:])
        assert np.abs(pixels(path).astype(int) - [255, 0, 0]).max() <= 4


def test_a_file_that_is_no_whole_picture_is_told(tmp_path):
    path = tmp_path / "picture.png"
    path.write_text("words")
    with pytest.raises(Unreadable, match="no picture"):
        read(path, SIZE, False)
    whole = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(whole, "PNG")
    path.write_bytes(whole.getvalue()[:5000])
    with pytest.raises(Unreadable):
        read(path, SIZE, False)
