"""Multi-label losses: formulas written out in float64, gradients where models are wrong."""

import numpy as np
import pytest
import torch

from src.tagging.losses import frequency_weights, tag_objective, weighed_losses
from tests.training import training

X = torch.linspace(-6, 6, 49, dtype=torch.float64)


def loss_of(name, weights=None, **settings):
    return tag_objective(training(tag_loss=name, **settings), weights).loss


@pytest.mark.parametrize(
    ("gammas", "options"),
    [
        ((2, 2), {"weights": (0.75, 0.25)}),
        ((4, 1), {"clip": 0.05}),
        ((2, 0), {}),
        ((0, 0), {"clip": 0.1}),
    ],
)
def test_losses_are_the_papers_formulas(gammas, options):
    p = 1 / (1 + torch.exp(-X))
    q = (p - options.get("clip", 0)).clamp(min=0)
    weights = options.get("weights", (1, 1))
    present, absent = (
        weighed_losses(X, there(X), gammas, **options)
        for there in (torch.ones_like, torch.zeros_like)
    )
    assert torch.allclose(present, -weights[1] * (1 - p) ** gammas[1] * p.log())
    assert torch.allclose(absent, -weights[0] * q ** gammas[0] * (1 - q).log(), atol=1e-12)


def test_all_zero_is_summed_bce():
    torch.manual_seed(0)
    logits, labels = torch.randn(5, 7), (torch.rand(5, 7) < 0.3).to(torch.uint8)
    asl, bce = (loss_of(name)({"logits": logits}, labels) for name in ("asl", "bce"))
    assert torch.allclose(asl, 7 * bce)
    plain = torch.nn.BCEWithLogitsLoss(reduction="sum")(logits, labels.float()) / 5
    assert torch.allclose(asl, plain)


def gradient(name, logit, label, **options):
    x = torch.tensor([[logit]], requires_grad=True)
    loss = loss_of(name, **options)({"logits": x}, torch.tensor([[label]]))
    loss.backward()
    return loss.item(), x.grad.item()


@pytest.mark.parametrize("size", [30.0, 200.0, 1e4])
@pytest.mark.parametrize(
    "options",
    [
        ("bce", {}),
        ("focal", {}),
        ("asl", {"asl_gamma_neg": 4.0, "asl_gamma_pos": 1.0}),
        ("asl", {"asl_gamma_neg": 4.0, "asl_gamma_pos": 1.0, "asl_clip": 0.05}),
    ],
)
def test_being_confidently_wrong_pulls_with_full_strength(options, size):
    name, rest = options
    loss, pull = gradient(name, -size, 1.0, **rest)
    strength = 0.25 if name == "focal" else 1
    assert pull == pytest.approx(-strength, rel=1e-4)
    assert loss == pytest.approx(strength * size, rel=1e-4)
    if "asl_clip" not in rest:  # with a clip the paper bounds the loss of absent tags
        _, pull = gradient(name, size, 0.0, **rest)
        assert pull == pytest.approx(0.75 if name == "focal" else 1, rel=1e-4)


@pytest.mark.parametrize("name", ["focal", "asl"])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 4.0])
@pytest.mark.parametrize("clip", [0.0, 0.05])
def test_never_nan(name, gamma, clip):
    gammas = dict.fromkeys(("focal_gamma", "asl_gamma_neg", "asl_gamma_pos"), gamma)
    logits = torch.tensor([[-1e4, -100.0, -3.0, 0.0, 3.0, 100.0, 1e4]]).repeat(3, 1)
    labels = torch.tensor([[0.0], [0.3], [1.0]]).expand(3, 7)
    loss = loss_of(name, asl_clip=clip, **gammas)({"logits": logits.requires_grad_()}, labels)
    loss.backward()
    assert loss.isfinite() and logits.grad.isfinite().all()


def test_weights_multiply_each_tags_part():
    logits, labels = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.0, 1.0]])
    parts = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    weighted = loss_of("asl", weights=np.array([0.5, 2.0]))({"logits": logits}, labels)
    assert weighted.item() == pytest.approx((parts[0, 0] * 0.5 + parts[0, 1] * 2).item())


def test_frequency_weights():
    # 1/sqrt(count): 1, 1/2, 1/3 and (none) 1; their mean is (1 + 1/2 + 1/3 + 1) / 4.
    expected = np.array([1, 1 / 2, 1 / 3, 1]) * 4 / (1 + 1 / 2 + 1 / 3 + 1)
    assert frequency_weights(np.array([1, 4, 9, 0])) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["bce", "focal", "asl"])
def test_accumulated_batches_equal_one_large_batch(name):
    torch.manual_seed(1)
    logits, labels = torch.randn(6, 4), (torch.rand(6, 4) < 0.5).float()
    loss = loss_of(name, asl_gamma_neg=2.0)
    parts = [
        loss({"logits": logits[rows]}, labels[rows], num_items_in_batch=24)
        for rows in (slice(0, 4), slice(4, 6))
    ]
    assert torch.allclose(sum(parts), loss({"logits": logits}, labels))


@pytest.mark.parametrize("name", ["bce", "focal", "asl"])
def test_soft_labels_give_the_same_mixture_of_losses(name):
    torch.manual_seed(2)
    logits = torch.randn(3, 5)
    one, two = ((torch.rand(3, 5) < 0.5).float() for _ in range(2))
    loss = loss_of(name, asl_gamma_neg=3.0, asl_gamma_pos=1.0, asl_clip=0.05)
    mixed = loss({"logits": logits}, 0.3 * one + 0.7 * two)
    both = 0.3 * loss({"logits": logits}, one) + 0.7 * loss({"logits": logits}, two)
    assert torch.allclose(mixed, both)
