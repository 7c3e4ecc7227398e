"""Regions: graphs that stand among the attributes of a node, as the body of a loop does.

A region is an attribute that is a `Graph`, or a tuple of them. It is closed: it reads nothing but
its own inputs and numbers, so arrays from outside are operands of the node, and one region can be
run, simplified or differentiated without a look at the graph around it. It has no guards: what
Python decides once cannot stand for each run of a region.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from wengert.ir.graph import Graph, Node

__all__ = ["closed", "each", "is_region", "lines", "map_attributes", "map_regions", "nodes"]


def is_region(attribute: Any) -> bool:
    """Whether an attribute is a graph or a tuple of graphs."""
    if type(attribute) is Graph:
        return True
    return type(attribute) is tuple and bool(attribute) and all(type(g) is Graph for g in attribute)


def each(node: Node) -> Iterator[tuple[str, Graph]]:
    """Iterate over the graphs among a node's attributes, each with the attribute's name."""
    for name, a in node.attrs.items():
        if type(a) is Graph:
            yield name, a
        elif is_region(a):
            for graph in a:
                yield name, graph


def nodes(graph: Graph) -> Iterator[Node]:
    """Iterate over the nodes of a graph and of its regions."""
    for node in graph.nodes:
        yield node
        for _, region in each(node):
            yield from nodes(region)


def lines(graph: Graph) -> tuple[tuple[str, int] | None, ...]:
    """Return the user's line of each node of a graph and of its regions."""
    return tuple(node.line and (node.line[0], node.line[1]) for node in nodes(graph))


def map_attributes(attrs: Mapping[str, Any], f: Callable[[Graph], Any]) -> dict[str, Any]:
    """Return the attributes with `f` of each graph among them."""
    return {
        name: f(a) if type(a) is Graph else tuple(map(f, a)) if is_region(a) else a
        for name, a in attrs.items()
    }


def map_regions(graph: Graph, f: Callable[[Graph], Graph]) -> Graph:
    """Return the graph with `f` of each region of its nodes; `f` goes into regions of regions.

    The graph itself is returned where nothing changes.
    """
    mapped = [_mapped(node, f) for node in graph.nodes]
    if all(a is b for a, b in zip(mapped, graph.nodes, strict=True)):
        return graph
    return Graph(graph.inputs, mapped, graph.outputs, graph.guards)


def _mapped(node: Node, f: Callable[[Graph], Graph]) -> Node:
    made = {id(g): f(g) for _, g in each(node)}
    if all(id(g) == k for k, g in made.items()):
        return node
    attrs = map_attributes(node.attrs, lambda g: made[id(g)])
    return Node(node.op, node.inputs, attrs, node.outputs, node.line)


def closed(graph: Graph) -> str | None:
    """Say why a graph cannot be a region; None where it can."""
    if graph.guards:
        return "it has guards, and a decision that Python took once cannot stand for every run"
    if graph.consts():
        return "it holds an array by reference, which is to be an input of the region"
    return None
