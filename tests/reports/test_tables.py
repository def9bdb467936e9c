import math
from dataclasses import replace

from napari_semxai.algorithms.statistics.evaluation import METRICS, MethodTable, Summary
from napari_semxai.reports.tables import markdown_table, write_latex


def summary(mean, std=0.0125, n=3):
    return Summary(mean, std, mean, mean, mean, mean, mean, n)


TABLES = [
    MethodTable("CRAFT_1", 3, 1, 0, dict.fromkeys(METRICS, summary(0.5))),
    MethodTable(
        "empty",
        3,
        1,
        3,
        {
            "accuracy": summary(1.0),
            "precision": summary(math.nan, math.nan, 0),
            "recall": summary(0.25, math.nan, 1),
            "dice": summary(0.3333),
            "iou": summary(0.25, 0.5),
        },
    ),
]


def test_the_layout_of_the_published_table():
    assert markdown_table(TABLES) == (
        "| method | Accuracy | Precision | Recall | Dice | IoU | n | empty truths |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |\n"
        "| CRAFT_1 | 0.500 ± 0.013 | 0.500 ± 0.013 | 0.500 ± 0.013 | 0.500 ± 0.013 |"
        " 0.500 ± 0.013 | 3 | 1 |\n"
        "| empty | 1.000 ± 0.013 | – | 0.250 (n = 1) | 0.333 ± 0.013 | 0.250 ± 0.500 | 3 | 1 |\n"
    )


def test_the_same_for_latex(tmp_path):
    assert write_latex(tmp_path / "table.tex", TABLES).read_text("utf-8") == (
        "\\begin{tabular}{lccccccc}\n"
        "\\toprule\n"
        "Method & Accuracy & Precision & Recall & Dice & IoU & n & Empty truths \\\\\n"
        "\\midrule\n"
        r"CRAFT\_1 & 0.500 $\pm$ 0.013 & 0.500 $\pm$ 0.013 & 0.500 $\pm$ 0.013 & "
        r"0.500 $\pm$ 0.013 & 0.500 $\pm$ 0.013 & 3 & 1 \\"
        "\n"
        r"empty & 1.000 $\pm$ 0.013 & – & 0.250 (n = 1) & 0.333 $\pm$ 0.013 & "
        r"0.250 $\pm$ 0.500 & 3 & 1 \\"
        "\n"
        "\\bottomrule\n"
        "\\end{tabular}\n"
    )


def test_scores_of_maps_for_latex_are_a_table_of_their_own(tmp_path):
    maps = {"auroc": summary(0.75), "top_k": summary(0.5, n=2)}
    with_maps = replace(TABLES[0], summaries=TABLES[0].summaries | maps)
    write_latex(tmp_path / "table.tex", [with_maps, TABLES[1]])
    assert (tmp_path / "table_maps.tex").read_text("utf-8") == (
        "\\begin{tabular}{lc}\n"
        "\\toprule\n"
        "Maps & CRAFT\\_1 \\\\\n"
        "\\midrule\n"
        "Top-k & 0.500 $\\pm$ 0.013 (n = 2) \\\\\n"
        "AUROC & 0.750 $\\pm$ 0.013 \\\\\n"
        "\\bottomrule\n"
        "\\end{tabular}\n"
    )
    write_latex(tmp_path / "table.tex", TABLES)
    assert not (tmp_path / "table_maps.tex").exists()
