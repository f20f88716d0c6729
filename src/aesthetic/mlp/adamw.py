"""AdamW (Loshchilov & Hutter 2019) on flat tensors, without the start-up cost of `torch.optim`.

Making a `torch.optim` optimizer imports torch's compiler, which takes longer than many a training
here. The fused kernel that it would call is called directly instead.
"""

import torch
from torch import Tensor


class AdamW:
    """Decoupled weight decay; the same updates as `torch.optim.AdamW`.

    Args:
        parameters: each with the weight decay that it gets; gradients are read from `.grad`.
        betas: decay of the mean of the gradients, and of their squares.
        epsilon: added to the denominator.
    """

    def __init__(
        self,
        parameters: list[tuple[Tensor, float]],
        *,
        betas: tuple[float, float],
        epsilon: float,
    ) -> None:
        self._betas, self._epsilon, self._count = betas, epsilon, 0
        self._parts = [
            (tensor, decay, torch.zeros_like(tensor), torch.zeros_like(tensor))
            for tensor, decay in parameters
        ]
        device = self._parts[0][0].device
        self._fused = device.type in ("cpu", "cuda")
        self._step = torch.zeros((), device=device)

    def step(self, learning_rate: float) -> None:
        """Update the parameters in place from their gradients."""
        self._count += 1
        self._step.fill_(self._count)
        for tensor, decay, mean, square in self._parts:
            gradient = tensor.grad
            assert gradient is not None
            if self._fused:
                torch._fused_adamw_(
                    [tensor],
                    [gradient],
                    [mean],
                    [square],
                    [],
                    [self._step],
                    lr=learning_rate,
                    beta1=self._betas[0],
                    beta2=self._betas[1],
                    weight_decay=decay,
                    eps=self._epsilon,
                    amsgrad=False,
                    maximize=False,
                )
            else:
                self._plain(tensor, gradient, decay, mean, square, learning_rate)

    def _plain(
        self,
        tensor: Tensor,
        gradient: Tensor,
        decay: float,
        mean: Tensor,
        square: Tensor,
        learning_rate: float,
    ) -> None:
        beta1, beta2 = self._betas
        tensor.mul_(1 - learning_rate * decay)
        mean.lerp_(gradient, 1 - beta1)
        square.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        deviation = square.sqrt().div_((1 - beta2**self._count) ** 0.5).add_(self._epsilon)
        tensor.addcdiv_(mean, deviation, value=-learning_rate / (1 - beta1**self._count))
