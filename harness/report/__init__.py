"""Reports: tables as text, LaTeX, CSV and pages. Formats what ``tables`` decided; ranks and measures nothing."""
