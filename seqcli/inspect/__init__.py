"""See inside a trained model: states, responses, clusters, and the checks that prove them.

    trace ──► response, numbers ──► cocluster ──► report ──► page, summary, JSON, arrays
      └─────► flow, ablation, probe, search, sentence, translate ──┘

Everything reaches into a model through `trace` and `corpus` alone.
"""
