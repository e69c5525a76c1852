"""Method: the two stages, the formulas, what is the paper's and what is ours, limits, citation."""

from __future__ import annotations

import streamlit as st

from pages.shared import layout

DRAWING = """
digraph {{
  rankdir=LR; bgcolor="transparent"; nodesep=0.25; ranksep=0.35;
  fontname="sans-serif"; fontcolor="{ink}"; fontsize=13;
  node [shape=box, style="rounded,filled", fillcolor="{paper}", color="{line}", fontcolor="{ink}",
        fontname="sans-serif", fontsize=12, margin="0.14,0.09"];
  edge [color="{line}", fontcolor="{ink}", fontname="sans-serif", fontsize=11];
  rows [label="Training rows"];
  subgraph cluster_1 {{
    label="Stage 1: value clusters (the paper's)"; color="{line}"; style="rounded";
    clusters [label="Clusters of similar rows\\nwith the same label"];
    fits [label="Fit once with all rows, and\\nonce without each cluster"];
    phi [label="What the score loses:\\nvalue of the cluster"];
    clusters -> fits -> phi;
  }}
  subgraph cluster_2 {{
    label="Stage 2: share it out (derived here)"; color="{line}"; style="rounded";
    extrinsic [label="Extrinsic: who in the cluster\\nproduced the effect, and where"];
    intrinsic [label="Intrinsic: quality, from\\nneighbours and confidence"];
    value [label="Value of each row", penwidth=2];
    extrinsic -> value [label="weight b"];
    intrinsic -> value [label="the rest"];
  }}
  rows -> clusters; phi -> extrinsic; rows -> intrinsic;
}}
"""
INKS = {
    "light": {"ink": "#1f2937", "paper": "#f3f4f6", "line": "#6b7280"},
    "dark": {"ink": "#e5e7eb", "paper": "#262730", "line": "#9ca3af"},
}

READING = """
- **Above zero**: the model's score on unseen rows is higher thanks to this row. **Below zero**: the model
  is better without it: look at it first, then decide whether to correct its label or to prune it.
- Values **sum to the surplus**: the score of the model less that of a guess that knows no features
  (class frequencies, or the mean). A per mille of the surplus is a thousandth of that.
- A value belongs to **this model, this score, this table**. Another model may need other rows.
- A small value does not mean a bad row: rows that can replace one another share what they produce.
- **±** is one standard error: how far the value would move with other validation rows, and with
  nothing else; two of them are the bar for "more than two standard errors from zero".
  *Repeat with 5 seeds* on the Value page adds what chance contributes.
- Usually the training rows are valued. *Value every row* lets each fifth of the training and validation rows
  validate the other four and averages; the values then sum to the mean surplus of the five.
- Values rank rows well; the exact number of one row is an estimate. Use *Curves* and *Prune* to measure
  what removing rows does before you act on it.
"""
PAPERS = """
**From the paper** (EcoVal, KDD 2024): valuing clusters instead of rows by leaving each cluster out;
propagating a cluster's value to its members with a Cobb-Douglas production function; an intrinsic and an
extrinsic part of every value, with diminishing returns; values for unseen points without a new fit.
"""
OURS = """
**Our own reconstruction**: the authors' code and exact formulas are not public to us. Stage 1 here is the
paper's. Stage 2, that is the formulas for extrinsic value, for quality, and for how the two are paid, is
derived in this project from the paper's premises. Results may therefore differ from the authors'.
"""
LIMITS = """
- If the model hardly beats the guess, there is no surplus to share out, and the app warns that the values
  are unreliable.
- Few validation rows make values noisy: every value is an average over them.
- Above 10,000 training rows the fits use a sample; every row is still valued.
- Errors that all point the same way in one region look like a rule to any model, and to this method too.
- Accuracy as a score is coarse: most rows change no prediction. Prefer probability.
"""
CITATION = """
@inproceedings{tarun2024ecoval,
  title     = {EcoVal: An Efficient Data Valuation Framework for Machine Learning},
  author    = {Tarun, Ayush K. and Chundawat, Vikram S. and Mandal, Murari and Tan, Hong Ming and
               Chen, Bowei and Kankanhalli, Mohan},
  booktitle = {Proceedings of the 30th ACM SIGKDD Conference on Knowledge Discovery and Data Mining},
  year      = {2024},
  note      = {arXiv:2402.09288}
}
"""


def draw_formulas() -> None:
    """Draw the formulas, with every symbol in words."""
    st.markdown(
        "$U(S)$ is the mean score, over the validation rows $v$, of the model fitted on the rows $S$; "
        "$Y = U(D) - U(\\emptyset)$ is the **surplus**. Leaving **cluster** $c$ out changes the score at "
        "$v$ by $\\Delta_c(v)$; the mean of that is the cluster's value:"
    )
    st.latex(r"\Delta_c(v) = s(f_D; v) - s(f_{-c}; v), \qquad \Phi_c = \tfrac1m \sum_v \Delta_c(v)")
    st.markdown(
        "**Extrinsic.** Each gain is credited to the members that push the model towards the right "
        "answer at $v$, each harm charged to those that push it away. With residuals $r$ of the model "
        "fitted without the cluster, and a kernel $k$ that measures how much a row acts at $v$:"
    )
    st.latex(
        r"a_{iv} = k_{iv} \, \langle r_i, r_v \rangle, \qquad "
        r"E_i = \tfrac1m \sum_v \Big( [\Delta_c(v)]_+ \frac{[a_{iv}]_+}{\sum_{j \in c} [a_{jv}]_+} - "
        r"[-\Delta_c(v)]_+ \frac{[-a_{iv}]_+}{\sum_{j \in c} [-a_{jv}]_+} \Big), \qquad "
        r"\sum_{i \in c} E_i = \Phi_c"
    )
    st.markdown(
        "The kernel is $k_{iv} = 1 / \\lVert x_i - x_v \\rVert^4$; for linear classifiers, where a row "
        "acts on all that share its features, the first-order influence "
        "$k_{iv} = 1 + x_i^\\top (C + 0.1\\, I)^{-1} x_v$ with the covariance $C$."
    )
    st.markdown(
        "**Intrinsic.** Quality is the geometric mean of *coherence* (how many of the ten nearest "
        "neighbours carry the label, over how many carry the most frequent one) and *confidence* (the "
        "model's probability of the label over that of the likeliest, from folds that did not see the "
        "row). The tenth of the rows that fit worst at first look judge no other row:"
    )
    st.latex(r"q_i = \sqrt{\text{coherence}_i \cdot \text{confidence}_i}")
    st.markdown("**Value.** Measured effect is paid at the weight $b$, quality is paid the rest:")
    st.latex(
        r"\text{value}_i = \underbrace{b \, E_i}_{\text{extrinsic}} + "
        r"\underbrace{\Big(Y - b \sum_j E_j\Big) \frac{q_i}{\sum_j q_j}}_{\text{intrinsic}}, "
        r"\qquad \sum_i \text{value}_i = Y"
    )


def draw_derivation() -> None:
    """Why these formulas."""
    st.markdown(
        "Let rows produce the score by a Cobb-Douglas function of an intrinsic input $Q$ and an "
        "extrinsic input $X$, with diminishing returns, $\\alpha + \\beta < 1$:"
    )
    st.latex(r"U(S) - U(\emptyset) = A \, Q(S)^\alpha X(S)^\beta")
    st.markdown(
        "A row's marginal product, averaged over all scales of the data (its Aumann-Shapley value), is"
    )
    st.latex(
        r"\text{value}_i = Y \Big( a \frac{q_i}{Q} + (1 - a) \frac{x_i}{X} \Big), \qquad "
        r"a = \frac{\alpha}{\alpha + \beta}"
    )
    st.markdown(
        "which sums to $Y$. Taking $x_i$ proportional to $E_i$ and writing the payment of the second "
        "input as $b E_i$ gives the formula above; it stays defined where $\\sum E$ is small or "
        "negative. $a$ is the *intrinsic share*, and $\\sum \\Phi / Y$ estimates the *returns to scale* "
        "$\\alpha + \\beta$: the part of the surplus lost at the margin."
    )


layout.title(
    "Method", "EcoVal values training data in two stages, at the cost of one fit a cluster."
)
st.graphviz_chart(
    DRAWING.format(**INKS[layout.theme()]),
    width="stretch",
    alt="Stage 1 values clusters by leaving each out; stage 2 shares each value out among its rows.",
)
left, right = st.columns(2, gap="large")
left.info(PAPERS)
right.warning(OURS)
st.subheader("How to read a value", anchor=False)
st.markdown(READING)
st.subheader("The formulas", anchor=False)
draw_formulas()
with st.expander("Why these formulas"):
    draw_derivation()
st.subheader("Limits", anchor=False)
st.markdown(LIMITS)
st.subheader("How to cite the paper", anchor=False)
st.code(CITATION.strip(), language="latex")
