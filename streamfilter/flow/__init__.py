"""When things come and where from: stages that wait for a moment, several readers of one stream, sources that are opened again."""
