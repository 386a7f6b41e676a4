"""Products depend on program texts and tables, and not on what was compiled from them."""

from stixlab.products.program import code_sha256, sha256_of_parts


def test_texts_and_tables_count_and_compiled_files_do_not(tmp_path):
    (tmp_path / "part" / "__pycache__").mkdir(parents=True)
    (tmp_path / "one.py").write_text("1")
    (tmp_path / "part" / "table.csv").write_text("2")
    before = sha256_of_parts(tmp_path, ["one.py", "part"])
    for name in ("one.cpython-311.pyc", "kernels.decode-21.py311.1.nbc", "kernels.decode-21.py311.nbi"):
        (tmp_path / "part" / "__pycache__" / name).write_text(name)
    assert sha256_of_parts(tmp_path, ["one.py", "part"]) == before
    (tmp_path / "part" / "table.csv").write_text("3")
    assert sha256_of_parts(tmp_path, ["one.py", "part"]) != before


def test_further_parts_count_when_named():
    assert code_sha256("ephemeris") != code_sha256()
