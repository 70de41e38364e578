"""The surrogate trainer: what a training would have come to, learned from recorded real trainings.

``features`` and ``derived`` turn a configuration into numbers; ``model`` predicts from plain arrays with NumPy alone;
``trainer`` draws the result of one request; ``fit`` (the only module here that imports torch) fits a model to a
recording; ``quality`` says how good it is on configurations it has not seen.
"""
