import json

import pytest

from incidents.detectors.files import UnreadableFile, read_objects


@pytest.fixture
def write(tmp_path):
    def write_file(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_file


def kinds(path):
    return [obj["kind"] for obj in read_objects(path)]


class TestReadObjects:
    def test_reads_several_documents(self, write):
        assert kinds(write("a.yaml", "---\nkind: Pod\n---\n---\nkind: Node\n")) == ["Pod", "Node"]

    def test_takes_lists_apart(self, write):
        assert kinds(write("a.yaml", "kind: List\nitems:\n- kind: Pod\n- kind: Node\n")) == ["Pod", "Node"]

    def test_items_of_typed_lists_get_their_kind(self, write):
        path = write("a.json", json.dumps({"kind": "PodList", "items": [{"metadata": {"name": "a"}}]}))

        assert read_objects(path) == [{"kind": "Pod", "metadata": {"name": "a"}}]

    def test_a_list_without_items_is_empty(self, write):
        assert kinds(write("a.json", '{"kind": "PodList", "items": null}')) == []

    def test_reads_json_documents_behind_each_other(self, write):
        assert kinds(write("a.json", '{"kind": "Pod"}\n{"kind": "Node"}\n')) == ["Pod", "Node"]

    def test_reads_yaml_that_begins_with_a_brace(self, write):
        assert kinds(write("a.yaml", "{kind: Pod}")) == ["Pod"]

    def test_times_stay_text(self, write):
        path = write("a.yaml", "kind: Pod\nmetadata: {creationTimestamp: 2027-04-12T06:00:00Z}\n")

        assert read_objects(path)[0]["metadata"]["creationTimestamp"] == "2027-04-12T06:00:00Z"

    @pytest.mark.parametrize(
        ("name", "content", "line"),
        [
            ("a.yaml", "kind: Pod\nspec: [1, 2\nstatus: {}\n", 3),
            ("a.json", '{"kind": "Pod",\n "spec": }\n', 2),
            ("a.yaml", b"kind: Pod\nname: \xff\xfe\n", 2),
            ("a.yaml", "just a sentence", 1),
            ("a.yaml", "metadata: {name: a}", 1),
            ("a.json", '{"kind": 3}', 1),
            ("a.json", "[" * 100_000, 1),
            ("a.json", '{"kind": "Pod", "n": ' + "9" * 5000 + "}", 1),
        ],
    )
    def test_refuses_what_it_cannot_read_and_names_the_line(self, write, name, content, line):
        path = write(name, content)

        with pytest.raises(UnreadableFile, match=rf"{name}:{line}: "):
            read_objects(path)

    def test_refuses_a_missing_file(self, tmp_path):
        with pytest.raises(UnreadableFile, match="No such file"):
            read_objects(tmp_path / "none.yaml")
