"""The imports of the package, drawn as text and as a Mermaid diagram, and the layers they obey."""
