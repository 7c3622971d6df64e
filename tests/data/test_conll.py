"""Sentences with a tag at each token, as they are written in files."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqcli.data import conll
from seqcli.errors import SeqcliError

NBSP = "\u00a0"


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="")
    return path


def test_conll_2003(tmp_path: Path) -> None:
    text = (
        "-DOCSTART- -X- -X- O\n\n"
        "EU NNP B-NP B-ORG\nrejects VBZ B-VP O\n \n"
        "# a comment with more words in it\nPeter NNP B-NP B-PER\n\n\n"
    )
    table = conll.read_conll(write(tmp_path / "a.conll", text))
    assert list(table.columns) == ["1", "2", "3", "4"]
    assert table.columns["1"] == [["EU", "rejects"], ["Peter"]]
    assert table.columns["4"] == [["B-ORG", "O"], ["B-PER"]]


def test_conll_with_tabs_keeps_spaces_in_tokens(tmp_path: Path) -> None:
    text = f"\ufeff10{NBSP}000\tB\n \tO\n#\tO\n\nNew York\tB\r\n"
    table = conll.read_conll(write(tmp_path / "a.tsv", text))
    assert table.columns["1"] == [[f"10{NBSP}000", " ", "#"], ["New York"]]
    assert table.columns["2"] == [["B", "O", "O"], ["B"]]


def test_conll_with_spaces_keeps_non_breaking_ones(tmp_path: Path) -> None:
    table = conll.read_conll(write(tmp_path / "a.txt", f"10{NBSP}000  B\nb O\n"))
    assert table.columns["1"] == [[f"10{NBSP}000", "b"]]


@pytest.mark.parametrize("joint", "/_")
def test_tokens_joined_to_their_tags(tmp_path: Path, joint: str) -> None:
    text = "1/2|CD of|IN it|PRP\n\n 希望|n a_b|NN\n".replace("|", joint)
    lines = text.split("\n")
    assert conll.find_joint(lines) == joint
    table = conll.read_joined(write(tmp_path / "a.txt", text), joint)
    assert table.columns["tokens"] == [["1/2", "of", "it"], ["希望", "a_b"]]
    assert table.columns["tags"] == [["CD", "IN", "PRP"], ["n", "NN"]]
    for bad in ("it", f"it{joint}", f"{joint}PRP"):
        assert conll.find_joint([*lines, bad]) is None
        with pytest.raises(SeqcliError, match=f"line 5: '{bad}' has no tag behind"):
            conll.read_joined(write(tmp_path / "b.txt", f"{text}\n{bad}\n"), joint)
    assert conll.find_joint(["EU NNP", "rejects VBZ"]) is None


def test_conll_header(tmp_path: Path) -> None:
    table = conll.read_conll(write(tmp_path / "a.tsv", "token\tpos\tner\nEU\tN\tB\n\na\tD\tO\n"))
    assert dict(table.columns) == {
        "token": [["EU"], ["a"]],
        "pos": [["N"], ["D"]],
        "ner": [["B"], ["O"]],
    }


@pytest.mark.parametrize(
    "text", ["a\tO\n\nb\tO\nc\n", "a\tO\n\nb\tO\nc\t\n", "a O\n\nb O\nc\n", "a\tO\n\nb\tO\n\tO\n"]
)
def test_conll_missing_tag_names_the_line(tmp_path: Path, text: str) -> None:
    table = conll.read_conll(write(tmp_path / "a.tsv", text))
    with pytest.raises(SeqcliError, match=r"a\.tsv line 4 has a missing token or tag"):
        table.columns["1"]


@pytest.mark.parametrize("text", ["one\ntwo\n", "新 世纪 的\n讲话 三 月\n江 泽民\n一 日\n主席\n"])
def test_sentences_without_tags_are_no_columns(tmp_path: Path, text: str) -> None:
    with pytest.raises(SeqcliError, match=r"a\.txt has no columns of tokens and tags"):
        conll.read_conll(write(tmp_path / "a.txt", text))


def test_conll_without_blank_lines(tmp_path: Path) -> None:
    table = conll.read_conll(write(tmp_path / "a.tsv", "a\tO\n" * 3000))
    with pytest.raises(SeqcliError, match="no blank line"):
        table.columns["1"]


CONLLU = """# sent_id = 1
# text = Don't go
1-2\tDon't\t_\t_\t_\t_\t_\t_\t_\t_
1\tDo\tdo\tAUX\tVBP\tMood=Ind\t3\taux\t_\t_
2\tn't\tnot\tPART\tRB\t_\t3\tadvmod\t_\t_
3\tgo\tgo\tVERB\tVB\t_\t0\troot\t_\t_
3.1\tgone\tgo\tVERB\tVB\t_\t_\t_\t_\t_

# sent_id = 2
1\t#\t#\tSYM\tSYM\t_\t0\troot\t_\t_
"""


def test_conllu(tmp_path: Path) -> None:
    table = conll.read_conllu(write(tmp_path / "a.conllu", CONLLU))
    assert table.columns["form"] == [["Do", "n't", "go"], ["#"]]
    assert table.columns["upos"] == [["AUX", "PART", "VERB"], ["SYM"]]
    assert table.columns["xpos"] == [["VBP", "RB", "VB"], ["SYM"]]
    assert table.columns["lemma"] == [["do", "not", "go"], ["#"]]
    assert table.columns["deprel"] == [["aux", "advmod", "root"], ["root"]]
    assert table.columns["feats"][0] == ["Mood=Ind", "_", "_"]


def test_broken_conllu_names_the_line(tmp_path: Path) -> None:
    path = write(tmp_path / "a.conllu", CONLLU.replace("\troot\t_\t_\n3.1", "\n3.1"))
    with pytest.raises(SeqcliError, match="line 6 has 7 columns; CoNLL-U has 10"):
        conll.read_conllu(path).columns["form"]


cell = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]), min_size=1).filter(
    lambda text: not text.startswith(("#", "-DOCSTART-"))
)


@settings(max_examples=50, deadline=None)
@given(
    sentences=st.lists(
        st.lists(st.tuples(cell, cell), min_size=1, max_size=4), min_size=1, max_size=4
    )
)
def test_conll_that_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, sentences: list
) -> None:
    text = "\n\n".join("\n".join(map("\t".join, sentence)) for sentence in sentences)
    path = write(tmp_path_factory.mktemp("conll") / "a.tsv", "word\ttag\n\n" + text)
    table = conll.read_conll(path)
    words = [[word for word, _ in sentence] for sentence in sentences]
    tags = [[tag for _, tag in sentence] for sentence in sentences]
    assert dict(table.columns) == {"word": words, "tag": tags}


@pytest.mark.parametrize(
    ("comment", "token"),
    [
        ("# sent 1", "{} N {}"),
        ("# sent_id = 7", "{} N x {}"),
        ("# 7", "{} {}"),
        ("#sent 1", "{} {}"),
        ("#begin document (a); part 000", "{}\tN\t{}"),
        ("#\thttp://x.org [2009-10-17]", "{}\t{}\tO"),
        ("#\n# text = one", "{}\t{}"),
    ],
)
def test_comments_before_a_sentence(tmp_path: Path, comment: str, token: str) -> None:
    words = [["one", "#", "two"], ["#", "three"]]
    text = "".join(
        f"{comment}\n" + "".join(f"{token.format(word, 'B-X')}\n" for word in sentence) + "\n"
        for sentence in words
    )
    path = write(tmp_path / "a.conll", text)
    assert conll.read_conll(path).columns["1"] == words
    assert conll.looks_like_conll(text.split("\n"))


@pytest.mark.parametrize("divide", ["\t", " "])
def test_a_column_that_numbers_tokens_is_left_out(tmp_path: Path, divide: str) -> None:
    rows = ["1|John|B-PER", "2|sleeps|O", "", "1|1|O", ""]
    text = "\n".join(rows).replace("|", divide)
    table = conll.read_conll(write(tmp_path / "a.conll", text))
    assert dict(table.columns) == {"2": [["John", "sleeps"], ["1"]], "3": [["B-PER", "O"], ["O"]]}
    named = conll.read_conll(
        write(tmp_path / "c.conll", f"ID|FORM|TAG\n{text}".replace("|", divide))
    )
    assert dict(named.columns) == {"FORM": table.columns["2"], "TAG": table.columns["3"]}
    other = conll.read_conll(write(tmp_path / "b.conll", text.replace("2", "3")))
    assert list(other.columns) == ["1", "2", "3"]


def test_columns_of_conllx(tmp_path: Path) -> None:
    text = (
        "1\tIt\tit\tPRON\tPRP\t_\t2\tnsubj\t_\t_\n2\tgoes\tgo\tVERB\tVBZ\t_\t0\tROOT\t_\t_\n\n"
        "1\tNo\tno\tDET\tDT\t_\t0\tROOT\t_\t_\n"
    )
    table = conll.read_conll(write(tmp_path / "a.conll", text))
    assert table.columns["form"] == [["It", "goes"], ["No"]]
    assert table.columns["upos"] == [["PRON", "VERB"], ["DET"]]


def test_hashtags_are_tokens_wherever_they_stand(tmp_path: Path) -> None:
    """Also where their tag comes on no other line; comments are no tokens."""
    text = "#nlp\tB-HT\n#fun\tI-HT\nrocks\tO\n\n# 7\n#\tSYM\n5\tCD\n\n"
    table = conll.read_conll(write(tmp_path / "a.conll", text.replace("# 7", "# id 7 of all")))
    assert table.columns["1"] == [["#nlp", "#fun", "rocks"], ["#", "5"]]
    table = conll.read_conll(write(tmp_path / "b.conll", text.replace("\t", " ")))
    assert table.columns["1"] == [["#nlp", "#fun", "rocks"], ["#", "5"]]
