"""Text with marks in it: tags, code fences, Markdown that is never half there, links that are checked before they leave."""
