"""The graph of imports finds circles, also those for types alone."""

import ast

from tests.import_graph import circles, module_graph, modules_of, room_graph


def test_the_graph_finds_circles():
    files = {
        "a/one.py": ast.parse("from b import two"),
        "a/low.py": ast.parse(""),
        "b/two.py": ast.parse("if TYPE_CHECKING:\n    from a.low import Name"),
        "b/three.py": ast.parse("def f():\n    import b.four"),
        "b/four.py": ast.parse("from b.three import f"),
    }
    graph = module_graph(files)
    assert graph["b.two"] == {"a.low"}
    assert circles(graph) == [{"b.three", "b.four"}]
    assert circles(room_graph(graph, modules_of(files), single=())) == [{"a", "b"}]
    assert circles(room_graph(graph, modules_of(files), single=("a",))) == []
