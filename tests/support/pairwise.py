"""Few combinations in which every two choices meet: a covering array, found greedily.

A fault seldom needs more than two settings together, and all pairs fit into about as many rows
as the two longest lists have pairs (Cohen, Dalal, Fredman and Patton, The AETG System, 1997).
"""

from itertools import combinations


def all_pairs(factors, together=lambda row: True, most=None):
    """Rows of one choice a factor, so that every two choices that may meet do so in some row.

    Parameters
    ----------
    factors : dict of str to list
        The choices of each factor. The first of each may stand beside anything.
    together : callable
        Whether the choices in a dict (of some factors) are allowed in one row.
    most : int or None
        Two factors with more pairs than that need not meet in all ways; each of their choices is
        in a row in any case.

    Returns
    -------
    list of dict
        The same in every process: names of tests are made of it.
    """
    missing = _wanted(factors, together, most)
    used = {(name, i): 0 for name, choices in factors.items() for i in range(len(choices))}
    rows = []
    while missing:
        row = dict(next(iter(missing)))
        # those with most choices first: later ones can still yield to them
        for name in sorted(factors, key=lambda name: -len(factors[name])):
            if name not in row:
                row[name] = _best(name, row, missing, used, factors, together)
        rows.append({name: factors[name][row[name]] for name in factors})
        missing = {cells: None for cells in missing if not cells <= set(row.items())}
        for cell in row.items():
            used[cell] += 1
    return rows


def each_choice(rows, settings=lambda row: row):
    """Few of the rows, in which every setting of all of them is met, no matter beside which.

    For what one setting alone can break; `settings` gives those of a row as a dict.
    """
    cells = [{(name, str(value)) for name, value in settings(row).items()} for row in rows]
    missing, kept = set().union(*cells), set()
    while missing:
        best = max(range(len(rows)), key=lambda i: (len(cells[i] & missing), -i))
        kept.add(best)
        missing -= cells[best]
    return [rows[i] for i in sorted(kept)]


def _wanted(factors, together, most):
    """Sets of one cell or two, a cell being a factor and the index of a choice of it."""
    cells = {name: [(name, i) for i in range(len(choices))] for name, choices in factors.items()}
    pairs = [
        frozenset([a, b])
        for one, two in combinations(factors, 2)
        if most is None or len(factors[one]) * len(factors[two]) <= most
        for a in cells[one]
        for b in cells[two]
        if together({name: factors[name][i] for name, i in (a, b)})
    ]
    return dict.fromkeys(
        pairs + [frozenset([cell]) for column in cells.values() for cell in column]
    )


def _best(name, row, missing, used, factors, together):
    """The index that meets most of what is missing; of equal ones, the least used, then first."""

    def merit(i):
        cell = (name, i)
        met = sum(frozenset([cell, other]) in missing for other in row.items())
        return met + (frozenset([cell]) in missing), -used[cell], -i

    chosen = {other: factors[other][i] for other, i in row.items()}
    allowed = [i for i, choice in enumerate(factors[name]) if together({**chosen, name: choice})]
    return max(allowed, key=merit)
