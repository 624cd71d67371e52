"""Pages and drawings in other languages: nothing is left in English, nothing else is changed."""

import io
import re

import all_said
import lxml.html
import matplotlib
import pypdf
import pytest
from conftest import ROOT
from fontTools.ttLib import TTFont
from round_pots import cup, profile_of

from voxgan_jax import language, render
from voxgan_jax.drawing import files, pdf, plan, svg

OTHERS = language.LANGUAGES[1:]
NAMES = re.compile(r"\{(\w+)\}")
SAME = {
    "voxgan_jax",
    "sherd",
    "x.stl",
    "Name",
    "Scan",
    ". Commit",
}
"""What may be called in another language as in English."""
UNITS = {"mm", "cm", "ml", "voxgan", "jax", "html", "stl"}
WIDE = str.maketrans(
    {chr(letter): chr(letter + 0xFEE0) for letter in (*range(65, 91), *range(97, 123))}
)


def shown(page):
    """The texts that a page shows, but for code, values of tables and what is marked as English."""
    root = lxml.html.fromstring(page)
    hidden = ["script", "style", "metadata", "code", "a[@download]", "span[@lang='en']"]
    inside = " or ".join(f"ancestor::{tag}" for tag in hidden)
    found = root.xpath(f"//text()[not({inside})] | //@title | //@aria-label | //@data-title")
    return [" ".join(text.split()) for text in found if text.strip()]


def speak(make, *given):
    """What is made in the language of wide letters."""
    return language.speaking("xx", make, *given)


def pages(spoken, monkeypatch):
    return language.speaking(spoken, lambda: list(all_said.pages(monkeypatch)))


@pytest.fixture
def wide(monkeypatch):
    """A language whose letters are wide, and whose texts begin with their numbers."""
    keys = list(language.texts("de"))
    parts = [re.split(r"(\{\w+\}|<[^>]*>|--[\w-]+)", key) for key in keys]
    told = [
        "".join(each.translate(WIDE) if n % 2 == 0 else each for n, each in enumerate(found))
        for found in parts
    ]
    texts = {key: f"⟦{n}⟧{text}" for n, (key, text) in enumerate(zip(keys, told, strict=True))}
    monkeypatch.setattr(language, "texts", lambda _: texts)
    return keys


def test_every_language_has_every_text_with_the_same_names():
    keys = list(language.texts("de"))
    for spoken in OTHERS:
        found = language.texts(spoken)
        assert list(found) == keys
        for key, text in found.items():
            assert text.strip() and set(NAMES.findall(text)) == set(NAMES.findall(key)), key
            assert sorted(re.findall("<[^>]+>", text)) == sorted(re.findall("<[^>]+>", key))
            assert text.count('"') == key.count('"'), "it may stand in an attribute"


def test_nothing_on_a_page_is_left_in_english_and_no_text_is_unused(wide, monkeypatch):
    made = pages("xx", monkeypatch)
    for text in [text for page in made for text in shown(page)]:
        left = set(
            re.findall(
                r"[A-Za-z]{2,}",
                re.sub(
                    r"^sherd(: |$)|--unit \w+|--[\w-]+|[\w. ]+\.(stl|vox|svg|safetensors)"
                    r"|7 vox_pottery",
                    "",
                    text,
                ),
            )
        )
        assert left <= UNITS | {"Pots"}, text
    drawn = [
        words.text
        for figure in all_said.drawings()
        for words in speak(plan.compose, figure, 3).words
    ]
    more = [speak(language.told, text) for text in (pdf._FOOT, "Sections 1:3")]
    more += [speak(language.told, text) for text in all_said.refused(monkeypatch)]
    zones = ("foot", "lower wall", "upper wall", "wall", "belly", "neck", "shoulder")
    more += [
        speak(language.told, f"on the {zone}: the sherd's middle is at 5 % of the pot's height")
        for zone in zones
    ]
    more += [
        speak(render.asset, name)
        for name in ("index_page.css", "index_page.js", "page.js", "vendor/three_viewer.min.js")
    ]
    used = {
        int(number) for text in (*made, *drawn, *more) for number in re.findall(r"⟦(\d+)⟧", text)
    }
    assert [key for number, key in enumerate(wide) if number not in used] == []


def test_a_german_page_has_no_text_of_the_english_one(monkeypatch):
    pairs = zip(pages("en", monkeypatch), pages("de", monkeypatch), strict=True)
    for english, german in pairs:
        assert '<html lang="de">' in german
        both = {
            text
            for text in set(shown(english)) & set(shown(german))
            if re.search("[a-z]{3}", re.sub(r"^[\w. ]+, sha256$", "", text))
        }
        assert both <= SAME
        assert set(re.findall('<span lang="en">(.*?)</span>', german)) <= {"fault"}
        assert len(shown(english)) - len(shown(german)) == german.count('<span lang="en">')


@pytest.mark.parametrize("spoken", OTHERS)
def test_what_reports_say_is_known_again(spoken, monkeypatch):
    for english in all_said.sentences(monkeypatch):
        told = language.speaking(spoken, language.known, english)
        assert told and told != english, english
        inside = re.findall(r"\d+\.\d+", re.sub(r"[\w. ]+\.stl", "", told))
        assert bool(inside) <= (spoken == "zh"), "a decimal comma in German and Spanish"


def test_a_sentence_of_several_texts_is_put_together():
    english = (
        "high: it is in 3 pieces and its floor is open; expected overlap with the true pot 0.64"
    )
    said = (
        "hoch: es ist in 3 Teilen und sein Boden ist offen; erwartete Deckung mit dem wahren Gefäß"
        " 0,64"
    )
    assert language.speaking("de", language.told, english) == said
    assert language.speaking("de", language.told, "1 234.5 voxels") == "1 234,5 Voxel"
    assert (
        language.speaking("es", language.told, "Expected overlap with the true pot 0.64.")[-5:]
        == "0,64."
    )
    assert language.speaking("zh", language.told, "It is in crumbs.") == "为碎屑。"
    assert language.told(english) == english


def test_what_no_text_fits_stays_english_and_is_marked():
    assert language.speaking("de", language.known, "it is in many pieces") is None
    assert (
        language.speaking("de", language.known, "a sherd of wood is not credible; check --unit")
        is None
    )
    template = render._environment().from_string('{{ "a <b>" | told }}, {{ "high" | told }}')
    marked = '<span lang="en">a &lt;b&gt;</span>, hoch'
    assert language.speaking("de", template.render) == marked
    assert template.render() == "a &lt;b&gt;, high"


def test_the_language_is_left_where_it_was_spoken():
    def fail():
        assert language.SPOKEN.get() == "es"
        raise KeyError

    with pytest.raises(KeyError):
        language.speaking("es", fail)
    assert language.SPOKEN.get() == "en"


def test_the_letters_of_drawings_are_all_there():
    """What is printed in Chinese shows no boxes."""
    ours = TTFont(ROOT / "voxgan_jax" / "drawing" / "chinese.ttf").getBestCmap() or {}
    plain = matplotlib.get_data_path() + "/fonts/ttf/DejaVuSans.ttf"
    known = {*ours, *(TTFont(plain).getBestCmap() or {})}
    for spoken in OTHERS:
        letters = {letter for text in language.texts(spoken).values() for letter in text}
        assert {letter for letter in letters if ord(letter) not in known} == set()


def test_a_chinese_pdf_holds_its_words_and_a_chinese_name():
    figure = all_said.drawings()[0]
    data = language.speaking("zh", pdf.single, figure, "陶片七")
    (page,) = pypdf.PdfReader(io.BytesIO(data)).pages
    text = page.extract_text()
    for words in ("陶片所存", "推测", "陶片七", "口沿存"):
        assert words in text
    made = language.speaking("zh", plan.compose, figure, 2)
    right = max(
        word.x + len(word.text) * 2.0 * made.mm for word in made.words if word.layer == "text"
    )
    assert right <= made.box[0] + made.box[2]


def test_a_drawing_is_read_again_in_whatever_language_it_was(tmp_path):
    figure, path = all_said.drawings()[0], tmp_path / "a_section.svg"
    assert figure
    path.write_text(language.speaking("de", svg.svg, figure), encoding="utf-8")
    assert "Schnitt und Außenansicht" in path.read_text(encoding="utf-8")
    assert "12,4 cm" not in svg.svg(svg.read(path)) and svg.read(path).facts == figure.facts
    table = files.content("csv", figure, profile_of(cup()), "a")
    assert language.speaking("de", files.content, "csv", figure, profile_of(cup()), "a") == table


def test_zones_have_names_in_every_language():
    code = (ROOT / "voxgan_jax" / "report" / "whereabouts.py").read_text()
    zones = re.findall(
        r'"((?:lower |upper )?[a-z]+)"', code.split("def zone")[1].split("def _words")[0]
    )
    assert {"belly", "upper wall", "neck"} <= set(zones)
    for spoken in OTHERS:
        assert all(
            language.speaking(spoken, language.known, zone) for zone in zones if zone != "rows"
        )
