"""All choices taken in at once: expectation propagation (Minka 2001).

Its evidence and variances are right where Laplace's approximation finds answers noisier than they
are. The site of a set of k images is a Gaussian in their differences, whose precision is the
Laplacian of k (k - 1) / 2 edges: so every choice is a part of one network between images.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from src.rating.models.graph import Choices, ComparisonGraph, Floats, Sets, inverses, laplacians
from src.rating.models.likelihood import moments
from src.rating.models.posterior import Belief, Prior

_MOST_SWEEPS = 50


class Sites(NamedTuple):
    """What the answers about each set tell of its differences d: exp(shift·d - dᵀ precision d / 2).

    Flat over all sets; precisions as the weights of the network's edges.
    """

    precision: Floats
    shift: Floats


@dataclass(frozen=True)
class Fit:
    belief: Belief
    log_evidence: float  # of the choices under the prior; compares priors with each other
    sites: Sites | None


def fit(prior: Prior, choices: Choices, start: Sites | None = None) -> Fit:
    """Take in all choices at once; the sites of a fit of the same choices save time."""
    belief = Belief.start(prior)
    if not len(choices):
        return Fit(belief, 0.0, None)
    images, among = choices.renumbered()
    graph = ComparisonGraph(among, len(images))
    x = np.asarray(prior.features[images], dtype=float)
    d_u = 1.0 / np.asarray(prior.u_var[images], dtype=float)
    d_w = 1.0 / np.asarray(prior.w_var, dtype=float)
    w_mean = np.asarray(prior.w_mean, dtype=float)
    tau, nu = start or _first_sites(graph)

    for sweep in range(_MOST_SWEEPS):
        # The precision of (w, u) is [[D_w + xᵀLx, xᵀL], [Lx, D_u + L]]; w by Schur complement.
        own, within, log_det = graph.marginals(tau, d_u)
        push = graph.push(nu)
        solved = graph.solve(tau, d_u, np.column_stack([graph.laplacian(tau, x), push]))
        pull, rest = solved[:, :-1], x - solved[:, :-1]
        precision = np.diag(d_w) + x.T @ graph.laplacian(tau, rest)
        w_cov = np.linalg.inv(0.5 * (precision + precision.T))
        w = w_cov @ (d_w * w_mean + rest.T @ push)
        u = solved[:, -1] - pull @ w

        f, found = x @ w + u, []
        parts = zip(graph.sets, graph.blocks(tau), graph.shifts(nu), within, strict=True)
        for one, block, shift, covariance in parts:
            h = rest[one.images[0]] - rest[one.images[1:]]
            mean, covariance = f[one.images[0]] - f[one.images[1:]], _of_differences(covariance)
            covariance += np.einsum("amd,bmd->abm", h @ w_cov, h)
            found.append(_new_sites(one, mean, covariance, block[1:, 1:], shift))
        *new, evidences = zip(*found, strict=True)
        new_tau, new_nu = (np.concatenate([part.ravel() for part in parts]) for parts in new)
        if max(np.abs(new_tau - tau).max(), np.abs(new_nu - nu).max()) < 1e-3:
            break
        step = 1.0 if sweep < 10 else 0.5
        tau, nu = tau + step * (new_tau - tau), nu + step * (new_nu - nu)

    # Rasmussen & Williams 2006, section 3.6, for a prior of any mean.
    evidence = sum(evidences) + 0.5 * (w - w_mean) @ (d_w * w_mean)
    evidence -= 0.5 * (log_det + np.linalg.slogdet(precision)[1] - np.log(d_w).sum())

    cross = -pull @ w_cov
    belief.u[images] = u
    belief.u_var[images] = own - np.einsum("nd,nd->n", cross, pull)
    belief.row[images] = np.arange(1, len(images) + 1)
    seen = np.concatenate([[-1], images])
    cross = np.concatenate([np.zeros((1, len(w))), cross])
    belief = replace(belief, w=w, w_cov=w_cov, seen=seen, cross=cross)
    return Fit(belief, float(evidence), Sites(tau, nu))


def _first_sites(graph: ComparisonGraph) -> Sites:
    tau, nu = [], []
    for images, best, worst in graph.sets:
        count = best.sum(axis=0)
        edges = len(images) * (len(images) - 1) // 2
        tau.append(np.tile(0.6 / len(images) ** 2 * count, edges))
        nu.append((0.8 * (count / len(images) - best + worst)[1:]).ravel())
    return Sites(np.concatenate(tau), np.concatenate(nu))


def _of_differences(covariance: Floats) -> Floats:
    """Of the first value less each other's, (r, r, m), from that of the values, (k, k, m)."""
    found = covariance[0, 0] - covariance[0, 1:] - covariance[1:, :1] + covariance[1:, 1:]
    return np.asarray(found)


def _new_sites(
    told: Sets, mean: Floats, covariance: Floats, precision: Floats, shift: Floats
) -> tuple[Floats, Floats, float]:
    """Each set without its own site, and what its answers make of that.

    Returns the new edge weights, (edges, m), the new shifts, and the sets' part of the evidence.
    """
    inverse, log_det = inverses(covariance)
    without = inverse - precision
    covariance_without, log_det_without = inverses(without)
    pushed = np.einsum("abm,bm->am", inverse, mean) - shift
    mean_without = np.einsum("abm,bm->am", covariance_without, pushed)
    log_mass, new_mean, new_covariance = moments(
        mean_without, covariance_without, told.best, told.worst
    )
    site = inverses(new_covariance)[0] - without
    first, second = np.triu_indices(len(site), 1)
    edges = np.maximum(np.concatenate([site.sum(axis=0), -site[first, second]]), 1e-9)
    after = without + laplacians(edges)[1:, 1:]
    new_shift = np.einsum("abm,bm->am", after, new_mean) - pushed
    evidence = log_mass - 0.5 * (log_det + log_det_without)
    evidence += 0.5 * (pushed * (mean_without - mean)).sum(axis=0)
    return edges, new_shift, float(evidence.sum())
