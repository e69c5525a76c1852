"""Method: the two stages, the formulas, what is the paper's and what is ours, limits, citation."""

from __future__ import annotations

import streamlit as st

from pages.shared import layout, menu

DRAWING = """
digraph {{
  rankdir={direction}; bgcolor="transparent"; nodesep=0.25; ranksep=0.35;
  fontname="sans-serif"; fontcolor="{ink}"; fontsize=13;
  node [shape=box, style="rounded,filled", fillcolor="{paper}", color="{line}", fontcolor="{ink}",
        fontname="sans-serif", fontsize=12, margin="0.14,0.09"];
  edge [color="{line}", fontcolor="{ink}", fontname="sans-serif", fontsize=11];
  rows [label="Training rows"];
  subgraph cluster_1 {{
    label="Stage 1: value clusters (the paper's)"; color="{line}"; style="rounded"; labeljust=l;
    clusters [label="Clusters of similar rows\\nwith the same label"];
    fits [label="Fit once with all rows, and\\nonce without each cluster"];
    phi [label="What the score loses:\\nvalue of the cluster"];
    clusters -> fits -> phi;
  }}
  subgraph cluster_2 {{
    label="Stage 2: divide it (derived here)"; color="{line}"; style="rounded"; labeljust=l;
    extrinsic [label="Extrinsic: predicted or measured for\\nevery row, corrected to its cluster"];
    intrinsic [label="Intrinsic: quality, from three\\nmodels that predict its label"];
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
- **Above zero**: the row raises the model's score on unseen rows. **Below zero**: the model is better
  without it. Look at such a row first, then decide whether to correct its label or to prune it.
- Values **sum to the surplus**, where there is one: the score of the model minus that of a guess that uses
  no features (class frequencies, or the mean). They are written in multiples of the **average row**, which is
  the surplus divided by the number of rows: the values of n rows sum to n, and −3.2× costs what 3.2 average
  rows bring. *View* offers per mille of the surplus and the score itself as well.
- A value holds for **this model, this score and this table**. Another model may need other rows.
- A small value does not mean a bad row: rows that can replace one another share their value.
- **±** is one standard error: how much the value would change with other validation rows. *Repeat with 5
  seeds* on the Value page also measures the effect of random choices.
- By default only the training rows are valued. *Value every row* splits training and validation rows into
  five folds, validates on each fold in turn and averages; the values then sum to the mean surplus of the
  five.
- Values rank rows well; the exact number of one row is an estimate. Use *Prune* to measure what removing
  rows does before you act on it.
"""
PAPERS = """
**From the paper** (EcoVal, KDD 2024): valuing clusters instead of rows by leaving each cluster out;
propagating a cluster's value to its members with a Cobb-Douglas production function; an intrinsic and an
extrinsic part of every value, with diminishing returns; values for unseen points without a new fit.
"""
OURS = """
**Our own reconstruction**: the authors' code and exact formulas are not available to us. Stage 1 follows
the paper. Stage 2, that is, the formulas for extrinsic value, for quality and for combining the two, was
derived in this project from the paper's premises. Results may therefore differ from the authors'.
"""
TWO_QUESTIONS = """
**Label quality** is how likely the given label is according to three models that have not seen it: sort by
it to find wrong labels. A **label issue** is a label that these models find unlikely, also compared with
other rows of its class, while they find another one likely: look at these first. **Value** is what a row
with its given label is worth to the model: sort by it to decide what to keep or to remove.
"""
MEASURED = """
These figures are for three models (logistic regression, a random forest, nearest neighbours). Rows are
removed by value, and accuracy is measured on test rows.

- 28 public tables with 15 % wrong labels: **label quality** finds them with an AUC of 0.90 to 0.91, the
  best other method (Data-OOB or out-of-fold confidence) with 0.89. Removing the **lowest values** first
  leaves as much accuracy as the best other method, with the first two models 0.006 more. Removing the
  highest first hurts more than by KNN-Shapley (0.638 against 0.698, 0.693 against 0.710, 0.617 against
  0.622).
- The same tables, 10 % wrong labels: of the rows listed as **label issues** 70 % are wrong, and accepting
  all of them raises balanced accuracy by 0.012; where nothing is wrong 3.7 % are listed.
- 16 tables with a rare class, **equal class weights**: of the rare rows 7 to 10 % are among the lowest 15 %
  (by KNN-Shapley 84 %), and balanced accuracy stays above that of removing rows at random; with 10 % wrong
  labels by 0.03 to 0.06.
"""
LIMITS = """
- If the model is hardly better than the guess, there is no surplus to divide, and the app warns that the
  values are unreliable.
- Few validation rows make values noisy: every value is an average over them.
- Without equal weights a rare class hardly affects the score: its rows get the lowest values, and pruning
  them removes the class. *Weigh classes equally* is on by default if the rarest class has less than a third
  of the share it would have if all classes were equally large; *Prune* keeps at least half of every class
  by default. Neither helps if a rare class has few test rows: effects on it cannot then be measured
  reliably.
- Label quality ignores the weights of classes: in a rare class more labels look wrong than are. Check them
  before you accept many at once.
- Above 10,000 training rows the fits use a sample; every row is still valued. Above 2,000 validation rows
  (*Advanced* on Value) effects are measured on a stratified sample.
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


def draw_stages() -> None:
    """Draw both stages, across for wide windows and down for narrow ones; the style of the page shows one."""
    description = (
        "Stage 1 values clusters by removing each in turn; stage 2 divides each value among its "
        "rows."
    )
    for key, direction in (("wide", "LR"), ("narrow", "TB")):
        with st.container(key=key):
            st.graphviz_chart(
                DRAWING.format(direction=direction, **INKS[layout.theme()]),
                width="stretch",
                alt=description,
            )


def _formulas(*parts: str) -> None:
    """Draw formulas beside each other, below each other where that is too wide."""
    with st.container(horizontal=True, horizontal_alignment="center", gap="large"):
        for part in parts:
            st.latex(part, width="content")


def draw_formulas() -> None:
    """Draw the formulas, with every symbol in words."""
    st.markdown(
        "$U(S)$ is the mean score, over the validation rows $v$, of the model fitted on the rows "
        "$S$; $Y = U(D) - U(\\emptyset)$ is the **surplus**. Removing **cluster** $c$ changes the "
        "score at $v$ by $\\Delta_c(v)$; the mean of that is the cluster's value:"
    )
    _formulas(r"\Delta_c(v) = s(f_D; v) - s(f_{-c}; v)", r"\Phi_c = \tfrac1m \sum_v \Delta_c(v)")
    st.markdown(
        "Logistic regression, ridge, least squares, naive Bayes and nearest neighbours are not "
        "fitted again for $f_{-c}$: it follows from $f_D$, exactly or, for logistic regression, "
        "by Newton steps whose error is 0.0005 to 0.03 of the size of the effects. Any other "
        "model is fitted again.\n\nWith **equal class weights**, every mean over $v$ is weighted "
        "by one over the share of the class of $v$, the model gets the same weights, and the "
        "guess gives every class the same probability.\n\n**Extrinsic.** Two kernels predict what "
        "each row $i$ contributes at $v$: *proximity*, the share of trees of a forest in which "
        "$i$ and $v$ fall into one leaf, times the agreement of their residuals $r$ under the "
        "model without the cluster; and the *Shapley* value of $i$ at $v$ in the game of the five "
        "nearest neighbours. Their weights $\\beta \\ge 0$ are fitted to the measured effects by "
        "least squares; the prediction is then corrected to what was measured, as far as the "
        "difference is more than the noise of the measurement:"
    )
    _formulas(
        r"s_i = \tfrac1m \sum_v \big( \beta_1 \, \kappa(i, v) \, \langle r_i, r_v \rangle + "
        r"\beta_2 \, \varphi_i(v) \big)",
        r"E_i = s_i + \rho_c \, \frac{\Phi_c - \sum_{j \in c} s_j}{|c|}",
        r"\rho_c = \frac{\tau^2}{\tau^2 + \mathrm{se}_c^2}",
    )
    st.markdown(
        "$\\mathrm{se}_c$ is the standard error of $\\Phi_c$, $\\tau^2$ how much measured and "
        "predicted values "
        "differ beyond such errors. The rows of a cluster share $\\sum_j s_j + \\rho_c (\\Phi_c - "
        "\\sum_j s_j)$; "
        "where nothing is uncertain, exactly $\\Phi_c$.\n\nFor a logistic regression without equal "
        "class weights, leaving out a single row takes no further fit either. As long as rows times "
        "classes are at most 20,000, and unless the score is accuracy, $0.4 \\, s_i + 0.6 \\, "
        "\\Phi_i$ takes the place of $s_i$ there, with $\\Phi_i$ the effect of leaving out row $i$ "
        "alone. The effect of a new row is always predicted."
    )
    st.markdown(
        "**Intrinsic.** Three models predict class probabilities for every row without having "
        "seen its label: its ten nearest neighbours, the model of the run out of fold, and the "
        "forest out of bag. They are pooled by a Cobb-Douglas function whose elasticities $w \\ge "
        "0$ make the given labels likeliest. **Label quality** is the pooled probability of the "
        "given label; the quality $q_i$ is relative to the likeliest label, with equal class "
        "weights after dividing by the class shares (regression: predictions pooled by least "
        "squares, and $e^{-|r|}$ in units of the usual residual):"
    )
    _formulas(
        r"p_i(c) \propto \prod_j p_{ij}(c)^{w_j}",
        r"\text{label quality}_i = p_i(y_i)",
        r"q_i = \frac{p_i(y_i)}{\max_c p_i(c)}",
    )
    st.markdown(
        "**Value.** The measured effect counts with the weight $b$; the rest of the surplus is "
        "divided by quality:"
    )
    _formulas(
        r"\text{value}_i = \underbrace{b \, E_i}_{\text{extrinsic}} + "
        r"\underbrace{\Big(Y - b \sum_j E_j\Big) \frac{q_i}{\sum_j q_j}}_{\text{intrinsic}}",
        r"\sum_i \text{value}_i = Y",
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
    _formulas(
        r"\text{value}_i = Y \Big( a \frac{q_i}{Q} + (1 - a) \frac{x_i}{X} \Big)",
        r"a = \frac{\alpha}{\alpha + \beta}",
    )
    st.markdown(
        "which sums to $Y$. Taking $x_i$ proportional to $E_i$ and writing the payment of the second "
        "input as $b E_i$ gives the formula above; it stays defined where $\\sum E$ is small or "
        "negative. $a$ is the *intrinsic share*, and $\\sum \\Phi / Y$ estimates the *returns to scale* "
        "$\\alpha + \\beta$: the part of the surplus lost at the margin."
    )


layout.title("Method", "EcoVal values training data in two stages, with one model fit per cluster.")
draw_stages()
left, right = st.columns(2, gap="large")
left.info(PAPERS)
right.warning(OURS)
st.subheader("How to read a value", anchor=False)
st.markdown(READING)
st.subheader("Label quality and value", anchor=False)
st.markdown(TWO_QUESTIONS)
st.subheader("The formulas", anchor=False)
draw_formulas()
with st.expander("Why these formulas"):
    draw_derivation()
st.subheader("What was measured", anchor=False)
st.markdown(MEASURED)
st.subheader("Limits", anchor=False)
st.markdown(LIMITS)
st.subheader("How to cite the paper", anchor=False)
st.code(CITATION.strip(), language="latex")
menu.lead_on("data", "Go to Data")
