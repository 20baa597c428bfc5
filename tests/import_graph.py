"""The imports of a project as a graph of modules or of rooms, and the circles in it."""

import ast
from collections.abc import Collection, Iterable, Mapping

Graph = Mapping[str, set[str]]


def modules_of(paths: Iterable[str]) -> dict[str, str]:
    """Return dotted module name -> path, for paths relative to the project such as a/b.py."""
    return {path.removesuffix(".py").replace("/", ".").removesuffix(".__init__"): path for path in paths}


def module_graph(files: Mapping[str, ast.Module]) -> dict[str, set[str]]:
    """Return module -> the modules of the project that it imports, anywhere in the file and also for types alone.

    `files` maps a path to its syntax tree. `from a import b` counts as a.b if that is a module, as a if not.
    """
    modules = modules_of(files)
    return {
        module: {name for name in _imported(files[path], modules) if name in modules and name != module}
        for module, path in modules.items()
    }


def room_graph(graph: Graph, modules: Mapping[str, str], single: Collection[str]) -> dict[str, set[str]]:
    """Return room -> the rooms that it imports. A room is a folder; modules directly in `single` folders are rooms."""

    def room(module: str) -> str:
        folder = modules[module].rpartition("/")[0]
        return module if folder in single else folder

    rooms: dict[str, set[str]] = {}
    for module, targets in graph.items():
        rooms.setdefault(room(module), set()).update(room(target) for target in targets if room(target) != room(module))
    return rooms


def circles(graph: Graph) -> list[set[str]]:
    """Return the groups of two and more nodes that all reach each other, in the order of their names."""
    reached = {node: _reachable(graph, node) for node in graph}
    groups = {
        frozenset({node, *(other for other in reached[node] if node in reached.get(other, ()))}) for node in graph
    }
    return sorted((set(group) for group in groups if len(group) > 1), key=sorted)


def _imported(module: ast.Module, modules: Collection[str]) -> Iterable[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in modules else node.module


def _reachable(graph: Graph, start: str) -> set[str]:
    found: set[str] = set()
    waiting = list(graph.get(start, ()))
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += graph.get(node, ())
    return found
