"""The figures of the page, as Bokeh plots."""
