"""Facts about data, hand-worked."""

from __future__ import annotations

from seqcli.config import ClassifyData
from seqcli.data.check import check


def test_counts_repeats_leaks_and_unknown_tokens(tmp_path):
    train = "text,label\na b,x\na b,x\nc d e,y\na,y\n"
    test = "text,label\na b,x\nq c,y\n"
    for name, content in (("train", train), ("validation", test), ("test", test)):
        (tmp_path / f"{name}.csv").write_text(content)
    found = check("classify", ClassifyData(data=str(tmp_path)))
    facts = found["splits"]
    assert facts["train"]["rows"] == 4
    assert facts["train"]["tokens"] == 8
    assert facts["train"]["repeated"] == 1
    assert facts["train"]["labels"] == {"x": 2, "y": 2}
    assert facts["test"]["in_train"] == 1
    assert facts["test"]["unknown"] == 1 / 4
    assert facts["test"]["lengths"] == [2, 2, 2, 2]
