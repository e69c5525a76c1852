"""A map of points as a component of our own, on plotly.js.

``st.plotly_chart`` stands in the way of a map that one works on: a lasso tool swallows clicks, every change
of the figure empties the selection and resets the zoom, and colours need a new figure. Here the browser
fetches points, texts and colours once, each under an address that names its content (`wire`); a script run
sends those addresses, the selection as a bit a point, and little else (`element`). What the visitor does
comes back as a list of numbered gestures (`gestures`), so that none is applied twice and none is lost.

Zoom and tool are kept by the browser (``sessionStorage``, by the name of the map and of the view): they
survive reruns, other pages and a reload. Selection, picked row and colour belong to the page.
"""
