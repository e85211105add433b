"""The chapters, in the order in which the story is told."""

from jaxopt_edu.textbook.chapters import (
    adadelta,
    adagrad,
    adam,
    choosing,
    gradient_descent,
    momentum,
    nesterov,
    rmsprop,
)

CHAPTERS = (
    gradient_descent.CHAPTER,
    momentum.CHAPTER,
    nesterov.CHAPTER,
    adagrad.CHAPTER,
    rmsprop.CHAPTER,
    adadelta.CHAPTER,
    adam.CHAPTER,
    choosing.CHAPTER,
)
