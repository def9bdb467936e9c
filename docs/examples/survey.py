import napari_semxai as sx

answers = [  # four participants, three of the items
    [4, 5, 2],
    [3, 4, 3],
    [5, 5, 4],
    [2, 3, None],
]
summary = sx.survey_summary(answers)
for item in summary:
    print(f"{item.mean:.2f} ± {item.std:.2f}, {item.n_agree} of {item.n} agree")
print(f"Cronbach's alpha {summary.cronbach_alpha:.2f} from {summary.n_complete} complete sets")
